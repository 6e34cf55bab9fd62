"""`perdure export`: the policy of a stage as a folder for the hub. It writes nothing into the run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from perdure.agent.export.contract import Exported, ExportPolicy, Order
from perdure.agent.run.check import check_stage
from perdure.agent.run.events import Started
from perdure.agent.run.folder import POLICY, open_folder, row_name
from perdure.agent.run.kept import refuse_dropped
from perdure.agent.run.record import read_begun, read_record
from perdure.agent.run.stages import run_again
from perdure.agent.run.state import RunState, StageState
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.files import hashes, naming, new_folder, readable, sync_all
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.registry import load

README = "README.md"


@dataclass(frozen=True)
class ExportRequest:
    """The export that is asked for; `stage` is `None` for the last one that is done, `target` for a folder here.

    `name` is the policy's id on the hub, or `None`.
    """

    stage: int | None = None
    merge: bool = False
    target: Path | None = None
    name: str | None = None


@dataclass(frozen=True)
class Described:
    """All that a model card is written from; `row` is the stage's."""

    folder: Path
    record: RunState
    begun: Started
    curriculum: Curriculum
    row: StageState
    exported: Exported
    name: str


WriteCard = Callable[[Described], str]
"""The text of a model card."""


def export(path: Path, wanted: ExportRequest, write_card: WriteCard) -> tuple[Path, Described]:
    """Export a policy of a run, which may still be going on. The folder appears whole or not at all.

    Raises:
        ConfigError: no such stage; the target is not empty.
        RunError: no run, a damaged one, or one of a world that exports nothing.
        ModelError: the base cannot be loaded, or is another one now.
        OSError: the target cannot be written.
    """
    folder = open_folder(path)
    record, events = read_record(folder)
    begun, curriculum = read_begun(folder, events)
    row = _row(path, wanted.stage, record)
    export_policy = _door(path, curriculum)
    target = wanted.target or Path(f"{path.absolute().name}-{row_name(row.stage, row.name)}")
    refuse_taken(target)
    refuse_dropped(folder, curriculum, row.stage, len(record.done))
    check_stage(folder, row.stage, row)
    source = folder.stage(row.stage, row.name) / POLICY
    name = wanted.name or "."
    with new_folder(target.absolute()) as partial, naming(target):
        files = tuple(hashes(source))
        exported = export_policy(Order(source, files, partial, curriculum, begun, wanted.merge, name))
        if exported.weights_sha256 != row.weights_sha256:
            raise RunError(run_again(path, row.stage, f"{source} holds other weights than the journal says"))
        described = Described(path, record, begun, curriculum, row, exported, wanted.name or target.name)
        (partial / README).write_text(write_card(described), encoding="utf-8")
        readable(partial)
        sync_all(partial)
    return target, described


def _row(path: Path, wanted: int | None, record: RunState) -> StageState:
    done = {row.stage: row for row in record.done}
    if not done:
        raise RunError(f"{path}: no stage is done yet, so that there is no policy but the base")
    if wanted is not None and wanted not in done:
        raise ConfigError(f"--stage {wanted}: {path} has the stages 1 to {max(done)} done")
    return done[max(done) if wanted is None else wanted]


def _door(path: Path, curriculum: Curriculum) -> ExportPolicy:
    if curriculum.spec.export is None:
        raise RunError(f"{path} is a run of the {curriculum.world} world, which exports no policies")
    return cast(ExportPolicy, load(curriculum.spec.export))


def refuse_taken(target: Path) -> None:
    """Refuse a target that is there and not empty.

    Raises:
        ConfigError: it is a file, or a folder with something in it.
    """
    if target.exists() and not target.is_dir():
        raise ConfigError(f"--to {target}: a file is there; name another folder")
    if target.is_dir() and any(target.iterdir()):
        raise ConfigError(f"--to {target}: the folder is not empty; name another, or empty it")
