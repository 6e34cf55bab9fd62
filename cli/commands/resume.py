"""`perdure resume RUN|SWEEP`: goes on with a run or a sweep that was stopped or killed."""

from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.folder import RunFolder, locked, open_folder
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import GateError
from perdure.cli.console import silence_libraries
from perdure.cli.find_run import find_folder

if TYPE_CHECKING:  # it brings numpy
    from perdure.agent.life import Life
    from perdure.cli.views.live import LiveView


def resume_command(name: Path, plain: bool) -> None:
    """Go on with a run or a sweep; one that is finished says so.

    Raises:
        GateError: `--strict` refused the run, and would again: a run goes on only as it began.
    """
    found = find_folder(name)
    if isinstance(found, SweepFolder):
        from perdure.cli.commands.sweep import resume_sweep

        resume_sweep(found, plain)
    else:
        _resume_run(found, plain)


def _resume_run(found: RunFolder, plain: bool) -> None:
    path, folder = found.path, open_folder(found.path)
    state = read_state(read_journal(folder.journal) if folder.journal.exists() else ())
    if state.status == "finished":
        print(f"{path} is finished; see it with: perdure show {path}")
        return
    if state.status == "refused":
        raise GateError(state.refusal)
    silence_libraries()
    from perdure.cli.commands.run import run_in_view

    def begin(view: "LiveView") -> "Life":
        from perdure.agent.setup import resume

        return resume(path, view)

    with locked(folder):
        run_in_view(path, begin, plain=plain)
