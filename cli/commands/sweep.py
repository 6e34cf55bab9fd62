"""`perdure sweep FILE`: runs a curriculum many times, with some of its fields varied."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from perdure.agent.run.find import SWEEPS, find_folder
from perdure.agent.run.folder import fresh_path
from perdure.agent.sweep.folder import SweepFolder, lock_sweep
from perdure.budget.errors import ConfigError
from perdure.budget.launchers import refuse_several
from perdure.cli.commands.show import print_sweep
from perdure.cli.console import json_text, phase_status, reader_may_leave, say, silence_libraries
from perdure.cli.errors import USER
from perdure.cli.views.sweep_progress import SweepView
from perdure.cli.views.sweep_report import facts_of_cell
from perdure.curriculum.sweeps.reader import Cell, ReadSweep

MAX_NAMED = 10
"""Missing cells named in a message."""


@dataclass(frozen=True)
class SweepCall:
    """The arguments of `perdure sweep`."""

    file: str
    output_dir: Path | None
    seeds: Sequence[int]
    overrides: Sequence[str]
    cell: str | None
    list_cells: bool
    collect: bool
    plain: bool
    as_json: bool

    def refuse_contradictions(self) -> None:
        """Raise ConfigError for options that do not go together."""
        kinds = {"--cell": self.cell is not None, "--list-cells": self.list_cells, "--collect": self.collect}
        asked = [name for name, given in kinds.items() if given]
        if len(asked) > 1:
            raise ConfigError(f"{asked[0]} and {asked[1]}: give only one of them")
        fixed = {"--seed": self.seeds, "--set": self.overrides, "--output-dir": self.output_dir}
        given = [name for name, value in fixed.items() if value]
        if self.collect and given:
            raise ConfigError(f"{given[0]}: --collect takes a sweep's folder as it is; leave {given[0]} out")
        if self.list_cells and self.output_dir:
            raise ConfigError("--output-dir: --list-cells writes nothing; leave --output-dir out")
        if self.cell is not None and self.as_json:
            raise ConfigError("--json: --cell makes no table; --collect does, for all cells")


def sweep_command(call: SweepCall) -> None:
    """Run every cell of a sweep, in a fresh folder or in that of the same sweep, begun before; or as the call says.

    Raises:
        Exit: with 1, where every cell failed; the one of `--cell` failed; or `--collect` found some missing.
    """
    call.refuse_contradictions()
    refuse_several("sweep")
    if call.collect:
        _collect(call)
        return
    from perdure.curriculum.sweeps.reader import read_sweep
    from perdure.eval.look_up import LookUp

    with phase_status() as show:
        show("looking up what the file names")
        read = read_sweep(call.file, call.overrides, call.seeds, LookUp())
    if call.list_cells:
        _list(read.cells, call.as_json)
    elif call.cell is not None:
        _run_alone(read, call, call.cell)
    else:
        from perdure.agent.sweep.sweep import begin_sweep

        folder = begin_sweep(read, call.output_dir or fresh_path(SWEEPS, read.name))
        _run(folder, plain=call.plain, as_json=call.as_json)


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
    from perdure.agent.sweep.assign import executors
    from perdure.agent.sweep.summary import sweep_object
    from perdure.agent.sweep.sweep import read_plan, run_sweep

    with _stoppable(f"perdure resume {folder.path}"), lock_sweep(folder), _view(plain, as_json) as view:
        run_sweep(folder, read_plan(folder), executors, view)
    found = sweep_object(folder)
    print_sweep(found, as_json)
    if not as_json:
        say(f"sweep folder: {folder.path}")
    if not found["finished"]:
        say("no cell finished", error=True)
        raise typer.Exit(USER)


def _run_alone(read: ReadSweep, call: SweepCall, asked: str) -> None:
    """Run one cell. Every process of the sweep must take the same folder, so that the default is no fresh one."""
    from perdure.agent.sweep.alone import find_cell, run_alone
    from perdure.agent.sweep.assign import executors
    from perdure.agent.sweep.sweep import join_sweep, read_plan

    cell = find_cell(read.cells, asked)
    folder = join_sweep(read, call.output_dir or SWEEPS / read.name)
    with _stoppable("the same command"), _view(call.plain, as_json=False) as view:
        ran = run_alone(folder, read_plan(folder), cell, executors, view)
    if not folder.rows(cell.id).exists():
        say(f"cell {cell.id} failed; details in {folder.failure(cell.id)}", error=True)
        raise typer.Exit(USER)
    say(f"cell {cell.id} {'is finished' if ran else 'was finished before'}: {folder.path}")


def _list(cells: Sequence[Cell], as_json: bool) -> None:
    with reader_may_leave():
        if as_json:
            print(json_text([{"id": cell.id, "seed": cell.seed, "values": dict(cell.values)} for cell in cells]))
            return
        for cell in cells:
            say(f"{cell.id}  {facts_of_cell(cell.values, cell.seed)}")


def _collect(call: SweepCall) -> None:
    from perdure.agent.sweep.alone import collect_sweep
    from perdure.agent.sweep.summary import sweep_object

    folder = find_folder(Path(call.file))
    if not isinstance(folder, SweepFolder):
        raise ConfigError(f"--collect: {folder.path} is a run; name the folder of a sweep")
    collect_sweep(folder)
    found = sweep_object(folder)
    print_sweep(found, call.as_json)
    if found["finished"] < found["cells"]:
        say(_missing(found), error=True)
        raise typer.Exit(USER)


def _missing(found: dict[str, Any]) -> str:
    """`3 of 18 cells are missing: 0004 (failed), 0007 (running), 0009; …`."""
    states = {one["cell"]: " (failed)" for one in found["failed"]} | dict.fromkeys(found["running"], " (running)")
    ids = sorted({*found["waiting"], *states})
    named = ", ".join(f"{id}{states.get(id, '')}" for id in ids[:MAX_NAMED])
    more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return (
        f"{len(ids)} of {found['cells']} cells are missing: {named}{more}; run them with --cell, or all here with: "
        f"perdure resume {found['folder']}"
    )


def _view(plain: bool, as_json: bool) -> SweepView:
    return SweepView(Console(file=sys.stderr if as_json else sys.stdout, highlight=False), plain=plain)


@contextmanager
def _stoppable(go_on: str) -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that runs save their state, and say how to go on."""
    silence_libraries()
    # A process that was killed leaves a semaphore behind; Python's tracker of them would write that to the terminal.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; go on with: {go_on}", error=True)
        raise
