"""`perdure resume RUN|SWEEP`: goes on with a run or a sweep that was stopped or killed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.find import find_folder
from perdure.agent.run.folder import RunFolder, disk_explained, locked, open_folder
from perdure.agent.run.record import read_record
from perdure.agent.run.state import RunState
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget import ranks
from perdure.budget.errors import GateError, RunError
from perdure.cli.commands.run import join
from perdure.cli.console import say, silence_libraries
from perdure.curriculum.file.trackers import read_trackers
from perdure.curriculum.tracking import Tracker, refuse_missing, tracker_of

if TYPE_CHECKING:  # it brings numpy
    from perdure.agent.life import Life
    from perdure.cli.views.live import LiveView


def resume_command(name: Path, plain: bool, redo_from: int | None = None, tracking: str | None = None) -> None:
    """Go on with a run or a sweep; one that is finished says so. A run may go back to stage `redo_from`.

    `tracking` is a YAML list of trackers, from now on in place of the run's.

    Raises:
        CurriculumError: the faults of `tracking`.
        RunError: a sweep has no stages to go back to, and the trackers of its file.
        GateError: `--strict` refused the run, and would again: a run goes on only as it began.
    """
    join()
    found = find_folder(name)
    if isinstance(found, SweepFolder):
        if ranks.count() > 1:
            raise RunError(f"{found.path} is a sweep, which one process goes on with; name the run of a cell")
        if redo_from is not None:
            raise RunError(f"--redo-from: {found.path} is a sweep; name the run of a cell")
        if tracking is not None:
            raise RunError(f"--tracking: {found.path} is a sweep; change its file and start it again there")
        from perdure.cli.commands.sweep import resume_sweep

        resume_sweep(found, plain)
    else:
        with disk_explained(found.path):
            _resume_run(found, plain, redo_from, None if tracking is None else read_trackers(tracking))


def _send(folder: RunFolder, tracking: Sequence[str | Tracker]) -> None:
    """Send a finished run to trackers."""
    trackers = tuple(map(tracker_of, tracking))
    refuse_missing(trackers)
    from perdure.agent.tracking.follow import send_finished

    say(f"sending it to {', '.join(one.type for one in trackers)}")
    with locked(folder):
        send_finished(folder, trackers, say)


def _resume_run(found: RunFolder, plain: bool, redo_from: int | None, tracking: Sequence[str | Tracker] | None) -> None:
    path, folder = found.path, open_folder(found.path)
    state, events = ranks.told(lambda: read_record(folder) if folder.journal.exists() else (RunState(), []))
    if state.status == "finished" and redo_from is None:
        say(f"{path} is finished; see it with: perdure show {path}")
        if tracking is not None:
            _send(folder, tracking)
        return
    if state.status == "refused":
        raise GateError(state.refusal)
    silence_libraries()
    from perdure.cli.commands.run import run_in_view

    def begin(view: "LiveView") -> "Life":
        view.past(events)  # at once: the libraries take a while
        view.note(f"loading; {len(state.done)} of {len(state.tasks)} stages are done")
        from perdure.agent.setup import resume

        return resume(path, view, redo_from=redo_from, tracking=tracking)

    with locked(folder):
        run_in_view(path, begin, plain=plain)
