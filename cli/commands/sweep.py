"""`perdure sweep FILE`: runs a curriculum many times, with some of its fields varied."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from perdure.agent.run.find import SWEEPS
from perdure.agent.run.folder import fresh_path
from perdure.agent.sweep.folder import SweepFolder, lock_sweep
from perdure.cli.commands.show import print_sweep
from perdure.cli.console import phase_status, say, silence_libraries
from perdure.cli.errors import USER


def sweep_command(
    file: str, output_dir: Path | None, seeds: Sequence[int], overrides: Sequence[str], plain: bool, as_json: bool
) -> None:
    """Run every cell of a sweep, in a fresh folder or in that of the same sweep, begun before.

    Raises:
        Exit: with 1, where every cell failed.
    """
    from perdure.curriculum.sweeps.reader import read_sweep
    from perdure.eval.look_up import LookUp

    with phase_status() as show:
        show("looking up what the file names")
        read = read_sweep(file, overrides, seeds, LookUp())
    from perdure.agent.sweep.sweep import begin_sweep

    _run(begin_sweep(read, output_dir or fresh_path(SWEEPS, read.name)), plain=plain, as_json=as_json)


def resume_sweep(folder: SweepFolder, plain: bool) -> None:
    """Go on with a sweep: the cells still to run, and those that failed."""
    from perdure.agent.sweep.summary import sweep_object

    found = sweep_object(folder)
    if found["status"] == "finished" and not found["failed"]:
        say(f"{folder.path} is finished; see it with: perdure show {folder.path}")
        return
    _run(folder, plain=plain, as_json=False)


def _run(folder: SweepFolder, *, plain: bool, as_json: bool) -> None:
    """Run the cells, then print the table. With `as_json` the progress goes to stderr."""
    from perdure.agent.sweep.summary import sweep_object
    from perdure.agent.sweep.sweep import executors, read_plan, run_sweep
    from perdure.cli.views.sweep_progress import SweepView

    silence_libraries()
    # A process that was killed leaves a semaphore behind; Python's tracker of them would write that to the terminal.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # runs then save their state, as after Ctrl-C
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
    try:
        with lock_sweep(folder), SweepView(console, plain=plain) as view:
            run_sweep(folder, read_plan(folder), executors, view)
    except KeyboardInterrupt:
        say(f"stopped; go on with: perdure resume {folder.path}", error=True)
        raise
    found = sweep_object(folder)
    print_sweep(found, as_json)
    if not as_json:
        say(f"sweep folder: {folder.path}")
    if not found["finished"]:
        say("no cell finished", error=True)
        raise typer.Exit(USER)
