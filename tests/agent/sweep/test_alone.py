"""Cells that run alone, each by a process of its own: at once, twice, killed, and collected."""

import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.sweep.alone import collect_sweep, find_cell, run_alone
from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.folder import SweepFolder, lock_cell, lock_sweep
from perdure.agent.sweep.summary import sweep_object
from perdure.agent.sweep.sweep import begin_sweep, join_sweep, read_plan, run_sweep
from perdure.budget.errors import ConfigError, RunError
from perdure.cli.commands.sweep import SweepCall, sweep_command
from perdure.curriculum.sweeps.reader import Cell
from tests.agent.sweep.doubles import BAD, SWEEP, Here, Seen, carry_on_alone, read

IDS = [f"{number:04d}" for number in range(1, 13)]


def by(executor: Any) -> Any:
    return lambda folder, plan, cells: [(executor, cells)]


def one(folder: SweepFolder, number: str, executor: Any = None) -> bool:
    plan = read_plan(folder)
    return run_alone(folder, plan, find_cell(plan.cells, number), by(executor or Here()), Seen())


def whole(path: Path) -> bytes:
    folder = begin_sweep(read(path), path / "whole")
    run_sweep(folder, read_plan(folder), by(Here()), Seen())
    return folder.results.read_bytes()


def test_cells_that_ran_alone_make_the_table_of_a_whole_sweep(tmp_path: Path) -> None:
    folder = join_sweep(read(tmp_path), tmp_path / "grid")
    for number in reversed(range(1, 13)):
        assert one(folder, str(number))
    assert not one(folder, "3"), "a finished cell is not repeated"
    collect_sweep(folder)
    assert sweep_object(folder)["status"] == "finished"
    assert folder.results.read_bytes() == whole(tmp_path)


def test_many_processes_begin_at_once_and_one_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.agent.sweep.doubles"])
    read(tmp_path)
    slow = context.Process(target=carry_on_alone, args=(tmp_path, "12", True))
    others = [context.Process(target=carry_on_alone, args=(tmp_path, str(number))) for number in range(1, 7)]
    for process in (slow, *others):
        process.start()
    for process in others:
        process.join()
    folder = SweepFolder(tmp_path / "grid")
    until = time.monotonic() + 30
    while "0012" not in sweep_object(folder)["running"] and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(RunError, match=r"cell 0012 of .*grid is in use by another process"):
        one(folder, "12")
    slow.kill()
    slow.join()
    assert [process.exitcode for process in others] == [0] * 6
    assert [path.name for path in tmp_path.glob(".*")] == [], "no half-made folder is left"
    assert one(folder, "12"), "the same command goes on"
    assert sweep_object(folder)["waiting"] == IDS[6:11]


def test_a_cell_and_the_whole_sweep_exclude_each_other(tmp_path: Path) -> None:
    folder = join_sweep(read(tmp_path), tmp_path / "grid")
    with lock_cell(folder, "0001"), lock_cell(folder, "0002"):
        assert (sweep_object(folder)["status"], sweep_object(folder)["running"]) == ("running", ["0001", "0002"])
        with pytest.raises(RunError, match="in use"), lock_sweep(folder):
            pass
        collect_sweep(folder)
    with lock_sweep(folder):
        for refused in (lambda: one(folder, "3"), lambda: collect_sweep(folder)):
            with pytest.raises(RunError, match="grid is in use"):
                refused()


class CollectedMeanwhile:
    """An executor during which another process collects."""

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """As `Here`."""
        collect_sweep(self.folder)
        assert self.folder.results.exists()
        yield from Here().run(cells)


def test_a_table_without_the_last_cell_is_not_taken_for_whole(tmp_path: Path) -> None:
    folder = join_sweep(read(tmp_path, SWEEP.replace("[0.1, 0.2, 0.4]", "[0.1]")), tmp_path / "grid")
    for number in ("1", "2", "3"):
        one(folder, number)
    one(folder, "4", CollectedMeanwhile(folder))
    assert not folder.results.exists()
    collect_sweep(folder)
    assert sweep_object(folder)["status"] == "finished"


def test_another_sweep_is_refused_and_so_is_a_folder_of_other_things(tmp_path: Path) -> None:
    join_sweep(read(tmp_path), tmp_path / "grid")
    with pytest.raises(RunError, match=r"  values\.learning_rate: was 0\.2, is 0\.3 \(4 cells\)"):
        join_sweep(read(tmp_path, SWEEP.replace("0.2", "0.3")), tmp_path / "grid")
    with pytest.raises(RunError, match="is no sweep"):
        join_sweep(read(tmp_path), tmp_path)


@pytest.mark.parametrize("asked", ["0", "13", "-1", "plain", "00001"])
def test_a_cell_that_does_not_exist_is_refused(tmp_path: Path, asked: str) -> None:
    cells = read(tmp_path).cells
    with pytest.raises(ConfigError, match=rf"--cell {asked}: the cells are 0001 to 0012.*--list-cells"):
        find_cell(cells, asked)
    assert find_cell(cells, "7") is find_cell(cells, "0007") is cells[6]


def call(file: Path, **changes: Any) -> SweepCall:
    plain = {"output_dir": None, "seeds": [], "overrides": [], "cell": None, "list_cells": False, "collect": False}
    return SweepCall(**{"file": str(file), **plain, "plain": True, "as_json": False, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "1", "collect": True}, "--cell and --collect: give only one of them"),
        ({"collect": True, "seeds": [1]}, "--seed: --collect takes a sweep's folder as it is"),
        ({"collect": True, "output_dir": Path("x")}, "--output-dir: --collect takes"),
        ({"list_cells": True, "output_dir": Path("x")}, "--output-dir: --list-cells writes nothing"),
        ({"cell": "1", "as_json": True}, "--json: --cell makes no table"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep_command(call(Path("grid.yaml"), **changes))


def test_what_a_user_sees_of_cells_and_of_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, SWEEP.replace("[0.1, 0.2, 0.4]", f"[0.1, {BAD}]").replace("[0, 1]", "[0]"))
    sweep_command(call(tmp_path / "grid.yaml", list_cells=True))
    assert capsys.readouterr().out.splitlines() == [
        "0001  arm plain, learning_rate 0.1, seed 0",
        "0002  arm plain, learning_rate 7, seed 0",
        "0003  arm tied, learning_rate 0.1, seed 0",
        "0004  arm tied, learning_rate 7, seed 0",
    ]
    sweep_command(call(tmp_path / "grid.yaml", list_cells=True, as_json=True))
    assert json.loads(capsys.readouterr().out)[1] == {
        "id": "0002",
        "seed": 0,
        "values": {"arm": "plain", "learning_rate": BAD},
    }
    folder = join_sweep(read(tmp_path, (tmp_path / "grid.yaml").read_text()), tmp_path / "grid")
    one(folder, "1")
    one(folder, "2")
    with lock_cell(folder, "0003"), pytest.raises(BaseException, match="1") as ended:
        sweep_command(call(folder.path, collect=True))
    assert type(ended.value).__name__ == "Exit"
    shown = capsys.readouterr()
    assert "1 of 4 cells finished" in shown.out
    assert "3 of 4 cells are missing: 0002 (failed), 0003 (running), 0004; run them with --cell" in shown.err
