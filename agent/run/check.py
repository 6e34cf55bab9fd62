"""Checks of a run folder that is to go on, before anything heavy is loaded."""

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from perdure.agent.run.event import Event
from perdure.agent.run.events import Redone
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.journal import Journal
from perdure.agent.run.kept import has_policy, is_dropped
from perdure.agent.run.lock import NAME as LOCK
from perdure.agent.run.stages import SavedStage, run_again, saved_stage
from perdure.agent.run.state import RunState, StageState, fold
from perdure.budget.errors import RunError
from perdure.budget.files import clear_leftovers, first_damaged, make_folder, remove, sync
from perdure.curriculum.schema import Curriculum


def check_kinds(folder: RunFolder) -> None:
    """Refuse a folder where a file belongs, and the other way round; remove what a kill left behind.

    Raises:
        RunError: something is of the wrong kind.
    """
    for path in (folder.description, folder.journal, folder.progress, folder.path / LOCK):
        if path.exists() and not path.is_file():
            raise RunError(f"{path} is no file, where a run has one; move it away")
    stages, scores = folder.path / "stages", folder.path / "scores"
    for path in (folder.base, stages, scores):
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is no folder, where a run has one; move it away")
    for path in (stages, scores):
        make_folder(path)
    for path in (folder.path, folder.base, scores):  # in `stages`, what is partial is a stage to go on with
        clear_leftovers(path)


def refuse_redo(folder: RunFolder, curriculum: Curriculum, state: RunState, first: int) -> None:
    """Refuse to go back to a stage that cannot be run again.

    Raises:
        RunError: the run has no such stage, the policy before it was not kept, or a stage before it is damaged.
    """
    if not 1 <= first <= len(curriculum.stages):
        raise RunError(f"--redo-from {first}: {folder.path} has the stages 1 to {len(curriculum.stages)}")
    if is_dropped(folder, curriculum, first - 1, len(state.done)):
        raise RunError(
            f"--redo-from {first}: the policy after stage {first - 1}, with which it begins, was not kept "
            f"(keep: {curriculum.keep}); go back to {_before(folder, curriculum, first)}"
        )
    for row in state.done:
        if 0 < row.stage < first:
            check_stage(folder, row.stage, row, is_dropped(folder, curriculum, row.stage, len(state.done)))


def redo(folder: RunFolder, state: RunState, first: int) -> tuple[RunState, Redone]:
    """Journal that stage `first` and all later ones count no longer, and give the state after that event."""
    event = Redone(stage=first)
    return fold(state, Journal(folder.journal).append(event)), event


def _before(folder: RunFolder, curriculum: Curriculum, first: int) -> int:
    """The last stage before `first` whose beginning is there."""
    return next(one for one in range(first - 1, 0, -1) if has_policy(folder, curriculum, one - 1))


def remove_redone(folder: RunFolder, names: Sequence[str], events: Sequence[Event]) -> None:
    """Remove the stages that the journal's last events took back: nothing else is journaled before they are gone."""
    last = takewhile(lambda event: isinstance(event, Redone), reversed(events))
    first = min((event.stage for event in last if isinstance(event, Redone)), default=None)
    if first is None:
        return
    for number, name in reversed(list(enumerate(names, 1))[first - 1 :]):
        for path in (folder.stage(number, name), folder.partial_stage(number, name)):
            if os.path.lexists(path):
                remove(path)
    sync(folder.path / "stages")


def check_stages(folder: RunFolder, curriculum: Curriculum, state: RunState) -> None:
    """Refuse stages that are not what the journal says, and a journal that does not know of them.

    Raises:
        RunError: what is missing or damaged, and the remedy.
    """
    names = [stage.name for stage in curriculum.stages]
    done = [row for row in state.rows if row.committed]
    for number, row in enumerate(done):
        if row.stage != number or not _is_whole(row, state):
            raise _short(folder, f"what stage {number} came to")
        if number:
            check_stage(folder, number, row, is_dropped(folder, curriculum, number, len(state.done)))
    for number, name in enumerate(names, 1):
        for path in (folder.stage(number, name), folder.partial_stage(number, name)):
            is_saved = path.is_dir() and (path.suffix != ".partial" or _is_saved(path))
            if is_saved and number >= len(done) and not _is_next(number, len(done), state):
                raise _short(folder, f"{path}, which is there")
    if not done and folder.base.exists() and state.status == "empty":
        raise _short(folder, f"{folder.base}, which is there")


def check_stage(folder: RunFolder, number: int, row: StageState, dropped: bool = False) -> None:
    """Refuse a committed stage that is not what the journal says; `dropped`: its policy was not kept.

    Raises:
        RunError: what is missing or damaged, and the remedy.
    """
    path = folder.stage(number, row.name)
    try:
        saved = saved_stage(path)
    except RunError as error:
        raise RunError(run_again(folder.path, number, str(error))) from error
    fault = f"{path} is missing, or what it should hold" if saved is None else _fault(path, saved, row, dropped)
    if fault is not None:
        raise RunError(run_again(folder.path, number, fault))


def _fault(path: Path, saved: SavedStage, row: StageState, dropped: bool) -> str | None:
    """The fault of a committed stage, by the journal and by its own hashes; `None`: there is none."""
    for what in ("name", "method", "steps", "penalty_weight", "weights_sha256"):
        said, known = getattr(saved, what), getattr(row, what)
        if said != known and None not in (said, known):
            return f"{path} says {what} {said!r}, and the journal {known!r}"
    return None if dropped else first_damaged(path, saved.policy_files)


def _is_saved(partial: Path) -> bool:
    """True where a stage is saved and not committed; a damaged one counts as absent."""
    try:
        return saved_stage(partial) is not None
    except RunError:
        return False


def _is_next(number: int, done: int, state: RunState) -> bool:
    """True if the journal knows that stage `number`, the first that is not done, has ended."""
    row = state.row(number)
    return number == done and row is not None and bool(row.readings) and row.readings[-1].final


def _is_whole(row: StageState, state: RunState) -> bool:
    """True if the journal holds what every stage that is done has: its last reading, and all scores."""
    known = set(row.scores) >= {*state.tasks, *state.benchmarks}
    return known and bool(row.readings) and row.readings[-1].final


def _short(folder: RunFolder, what: str) -> RunError:
    return RunError(
        f"{folder.journal} is missing or short: it does not know of {what}. Put the whole journal back from a copy, or "
        "start a new run: without it nothing says that these stages are this run's"
    )
