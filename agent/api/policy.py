"""The policy of a stage of a run, loaded and verified."""

from pathlib import Path

from perdure.agent.run.folder import open_folder
from perdure.agent.run.kept import refuse_dropped
from perdure.agent.run.record import read_begun, read_record
from perdure.agent.run.stages import restore_policy
from perdure.agent.run.state import RunState
from perdure.agent.worlds.registry import make_world
from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.import_path import search_code_in
from perdure.curriculum.policy import Policy


def load_policy(path: Path, stage: int | None) -> Policy:
    """The policy of a run after a stage; `None`: the last that is done, 0: the base.

    Raises:
        ConfigError: no such stage is done.
        RunError: damaged files, other weights than the journal's, or another base than the run began with.
    """
    folder = open_folder(path)
    state, events = read_record(folder)
    begun, curriculum = read_begun(folder, events)
    number = _number(path, stage, state)
    refuse_dropped(folder, curriculum, number, len(state.done))
    search_code_in(curriculum.code_dir)
    world = make_world(curriculum)
    restore_policy(world, folder, curriculum, state, number)
    if number == 0 and world.policy.fingerprint() != begun.base_sha256:
        raise RunError(
            f"{path}: {curriculum.model.title} is another model here than the base that the run began with; open the "
            "run on the machine, and with the versions, that it was run with"
        )
    return world.policy


def _number(path: Path, stage: int | None, state: RunState) -> int:
    done = [row.stage for row in state.done]
    if stage is None and not done:
        raise ConfigError(f"{path}: no stage is done yet; stage=0 is the base")
    if stage is not None and stage not in (0, *done):
        listed = f"1 to {done[-1]} are done" if done else "none is done yet"
        raise ConfigError(f"{path}: stage {stage}: {listed}, and 0 is the base")
    return done[-1] if stage is None else stage
