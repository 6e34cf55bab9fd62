"""`perdure export RUN`: the policy of a stage as a folder for the hub, and onto it."""

from pathlib import Path

from perdure.agent.run.find import find_run
from perdure.cli.console import phase_status, say, silence_libraries
from perdure.cli.output import writing


def export_command(
    path: Path, stage: int | None, target: Path | None, name: str | None, *, merge: bool, private: bool
) -> None:
    """Write the export, by default into a folder here, and with a `name` upload it to the hub.

    Raises:
        ConfigError: no such stage; the target is not empty; a name that the hub cannot have, or no token for it.
        RunError: no run, a damaged one, or one of a world that exports nothing; the hub did not take it.
        ModelError: the base cannot be loaded, or is another one now.
    """
    folder = find_run(path)
    silence_libraries()
    from huggingface_hub import HfApi, get_token

    from perdure.agent.export.export import ExportRequest, export
    from perdure.agent.export.push import push, refuse_unpushable
    from perdure.cli.report.card import model_card

    if name is not None:
        refuse_unpushable(name, get_token())
    with phase_status() as show:
        show("exporting")
        with writing(target or Path(), "--to"):
            written, described = export(folder, ExportRequest(stage, merge, target, name), model_card)
    exported = described.exported
    say(f"{written}: the policy after stage {described.row.stage}, {described.row.name}")
    if merge and not exported.merged:
        say("--merge: there is no adapter to merge; the run trained all weights, and these are they")
    for note in exported.notes:
        say(note)
    if name is not None:
        message = f"Policy of {described.record.run} after stage {described.row.stage}"
        say(f"pushed: {push(written, name, HfApi(), private=private, message=message)}")
