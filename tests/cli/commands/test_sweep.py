"""`sweep`, Ctrl-C, `resume` and `show` as a user meets them, and what is seen of a sweep."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.sweep import SweepPlan, begin_sweep, read_plan, run_sweep
from perdure.cli.commands.sweep import resume_sweep
from perdure.cli.views.sweep_progress import SweepPace, SweepView
from perdure.cli.views.sweep_report import format_mean, name_cell, sweep_report
from perdure.cli.views.symbols import ASCII, UNICODE
from tests.agent.sweep.doubles import Here, Seen, provenance, read, train
from tests.agent.sweep.language import read_language
from tests.forked import GROUP, Command, perdure

pytestmark = GROUP
ONE_FAILS = """\
curriculum: life.yaml
seeds: [0, 1]
combine: zip
axes:
  - {name: how, path: stages.first.task.args.how, values: [not, fail]}
  - {path: train.max_steps, values: [2, 3]}
workers: 1
"""
ALL_FAIL = "curriculum: life.yaml\naxes: [{name: how, path: stages.first.task.args.how, values: [fail]}]\nworkers: 1\n"
WAITING = ALL_FAIL.replace("[fail]", "[wait]")


LOOKING = "looking up what the file names"


def untimed(text: str) -> list[str]:
    """The lines without their times of day."""
    return [line.partition(" ")[2] for line in text.splitlines()]


def test_a_sweep_from_beginning_to_end(tmp_path: Path) -> None:
    read_language(tmp_path, ONE_FAILS)
    done = perdure(tmp_path, "sweep", "grid.yaml", "--seed", "5", "--set", "budget.num_prompts=3")
    assert (done.returncode, untimed(done.stderr)) == (0, [LOOKING])
    lines = done.stdout.splitlines()
    assert lines[-1] == "sweep folder: sweeps/grid-1"
    assert "cell 0002 (how fail, max_steps 3, seed 5) FAILED: " in done.stdout and "no such luck" in done.stdout
    assert any(line.startswith("sft     1     ") and "(n=1)" in line for line in lines), "one run has no interval"
    found = json.loads(perdure(tmp_path, "show", "grid-1", "--json").stdout)
    assert (found["status"], found["cells"], found["finished"]) == ("finished", 2, 1)
    assert [one["cell"] for one in found["failed"]] == ["0002"]
    assert found["methods"][0]["accuracy"]["low"] is None
    assert (tmp_path / "sweeps/grid-1/results.parquet").is_file()
    curriculum = json.loads((tmp_path / "sweeps/grid-1/sweep.json").read_text())["cells"][0]["curriculum"]
    assert (curriculum["seed"], curriculum["budget"]["num_prompts"]) == (5, 3)

    rows = tmp_path / "sweeps/grid-1/cells"
    (rows / "0002.parquet").write_bytes((rows / "0001.parquet").read_bytes())
    again = perdure(tmp_path, "resume", "sweeps/grid-1")
    assert (again.returncode, "0002.parquet is damaged (it holds rows of cell 0001)" in again.stderr) == (1, True)


def test_a_finished_sweep_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "out")
    run_sweep(folder, read_plan(folder), lambda folder, plan, cells: [(Here(), cells)], Seen())
    resume_sweep(folder, plain=True)
    assert capsys.readouterr().out == f"{folder.path} is finished; see it with: perdure show {folder.path}\n"


def test_where_every_cell_fails_the_code_is_1(tmp_path: Path) -> None:
    read_language(tmp_path, ALL_FAIL)
    done = perdure(tmp_path, "sweep", "grid.yaml", "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "no cell finished" in done.stderr
    found = json.loads(done.stdout)
    assert (found["finished"], found["methods"], found["results"]) == (0, [], None)
    resumed = perdure(tmp_path, "resume", "sweeps/grid-1")
    assert resumed.returncode == 1, "what failed is tried again"


def test_nothing_is_written_for_a_bad_file(tmp_path: Path) -> None:
    read_language(tmp_path, ALL_FAIL)
    (tmp_path / "grid.yaml").write_text(ALL_FAIL.replace("axes", "axs"))
    before = sorted(tmp_path.iterdir())
    done = perdure(tmp_path, "sweep", "grid.yaml")
    assert (done.returncode, untimed(done.stdout)) == (1, ["sweep grid.yaml: starting"])
    assert done.stderr.endswith("\ngrid.yaml:2:1: axs: unknown key; did you mean 'axes'?\n")
    assert sorted(tmp_path.iterdir()) == before


def test_ctrl_c_leaves_a_sweep_that_can_be_resumed(tmp_path: Path) -> None:
    read_language(tmp_path, WAITING)
    command = Command(tmp_path, "sweep", "grid.yaml", "--output-dir", "out")
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "workers.log").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    command.interrupt()
    stopped = command.wait(60)
    assert (stopped.returncode, stopped.stderr.splitlines()[1:]) == (
        130,
        ["stopped; go on with: perdure resume out"],
    )
    assert json.loads(perdure(tmp_path, "show", "out", "--json").stdout)["status"] == "interrupted"
    read_language(tmp_path, WAITING.replace("[wait]", "[fail]"))
    other = perdure(tmp_path, "sweep", "grid.yaml", "--output-dir", "out")
    assert other.returncode == 1
    assert "cell 0001.values.how: was 'wait', is 'fail'" in other.stderr


def outcomes(path: Path) -> list[FinishedCell | FailedCell]:
    cells = read(path).cells
    rows = train([cell.curriculum for cell in cells], 2)
    found: list[FinishedCell | FailedCell] = [
        FinishedCell(c, tuple(r), provenance(c.curriculum)) for c, r in zip(cells, rows, strict=True)
    ]
    return [*found[:3], FailedCell(cells[3], "a\nlong \x1b[31mstory")]


def seen(path: Path, *, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, highlight=False)
    with SweepView(console, plain=False) as view:
        view.begin(SweepPlan("grid", 2, 1, read(path).cells), 8)
        for outcome in outcomes(path):
            view.cell(outcome)
    return file.getvalue()


def test_off_a_terminal_each_cell_is_a_line(tmp_path: Path) -> None:
    _, begun, *lines = seen(tmp_path, terminal=False).splitlines()
    assert begun.endswith("sweep grid: 12 cells, 8 finished before")
    # Rate 0.1 for 4 steps: the number is 0.4, its accuracy half of it, its KL the square, its forgetting a tenth.
    figures = "accuracy 0.200, forgetting 0.016, KL 0.160"
    assert lines[0].endswith(f"cell 0001 (arm plain, learning_rate 0.1, seed 0): {figures}; 9 of 12, 0:00 left")
    assert "FAILED: a long \\x1b[31mstory; 12 of 12" in lines[3]
    assert all(line.isascii() for line in lines)


def test_on_a_terminal_there_is_a_bar(tmp_path: Path) -> None:
    text = seen(tmp_path, terminal=True)
    assert "12/12" in text and "1 failed" in text and "0:00 left" in text


def test_the_time_left_is_told_from_this_session_alone() -> None:
    now = [0.0]
    pace = SweepPace(10, 4, lambda: now[0])
    assert pace.remaining() is None
    now[0] = 20.0
    pace.count(failed=False)
    pace.count(failed=True)
    # Two cells in 20 s, four are left: 40 s; 15 s later there are 25 left, and never less than none.
    assert pace.remaining() == 40
    now[0] = 35.0
    assert pace.remaining() == 25
    now[0] = 1000.0
    assert pace.remaining() == 0
    assert (pace.done, pace.failed) == (6, 1)


def found(**changes: Any) -> dict[str, Any]:
    mean = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    line = {"method": "sft-1", "runs": 3, "broken": 0, "accuracy": mean, "forgetting": mean, "kl": mean}
    plain = {"sweep": "grid", "folder": "sweeps/grid-1", "world": "language", "base_id": "3f2a", "status": "finished"}
    return plain | {"cells": 3, "finished": 3, "failed": [], "methods": [line], "pooled": [], "results": "x"} | changes


def test_the_page_of_a_sweep() -> None:
    lines = [line.plain for line in sweep_report(found(), ASCII)]
    assert lines[:4] == [
        "grid - 3 of 3 cells finished - finished",
        "",
        "method  runs  accuracy              forgetting            KL, nats a token    ",
        "sft-1   3     0.500 [0.400, 0.600]  0.500 [0.400, 0.600]  0.500 [0.400, 0.600]",
    ]


def test_a_page_says_over_what_its_rows_are() -> None:
    lines = [line.plain for line in sweep_report(found(pooled=["learning_rate", "length"]), ASCII)]
    assert lines[5].startswith("a row is over all values of learning_rate, length; results.parquet has each")


def test_a_page_says_at_which_bins_its_kl_is() -> None:
    acting = {"world": "control", "base_id": "bins 21, action_repeat 5: 3f2a"}
    assert sweep_report(found(**acting), ASCII)[2].plain.endswith("  KL, nats a decision at bins 21, action_repeat 5")
    mixed = sweep_report(found(**acting | {"base_id": None}), ASCII)
    assert mixed[2].plain.rstrip().endswith("  KL, nats a decision")


def test_failures_are_listed_and_what_is_too_long_is_counted() -> None:
    failed = [{"cell": f"{n:04d}", "seed": 0, "values": {"arm": "\x1b[1mx"}, "reason": "it\nbroke"} for n in range(25)]
    lines = [line.plain for line in sweep_report(found(failed=failed, methods=[]), UNICODE)]
    assert lines[0] == "grid · 3 of 3 cells finished · 25 failed · finished"
    assert "  cell 0000 (arm \\x1b[1mx, seed 0): it broke" in lines
    assert "  and 5 more" in lines
    assert "perdure resume sweeps/grid-1" in lines[-2]


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        ({"value": None, "low": None, "high": None, "n": 0}, "n/a"),
        ({"value": 0.25, "low": None, "high": None, "n": 1}, "0.250 (n=1)"),
        ({"value": 0.25, "low": 0.0, "high": 0.5, "n": 2}, "0.250 [0.000, 0.500]"),
    ],
)
def test_few_runs_are_never_a_confident_figure(mean: dict[str, Any], words: str) -> None:
    assert format_mean(mean) == words


def test_a_cell_is_told_by_its_values() -> None:
    assert name_cell("0007", {"rate": 3e-06, "lora": {"r": 8}}, 2) == "cell 0007 (rate 3e-06, lora {'r': 8}, seed 2)"
