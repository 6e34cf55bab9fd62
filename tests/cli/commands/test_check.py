"""`perdure check`: a gate fails by what the items show, and not by noise."""

from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError, GateError, RunError
from perdure.cli.commands.check import check_command
from perdure.cli.errors import GATE, guarded
from tests.cli.journals import whole_run, write_run

# forgetting: even 72 - 68 = 4, sort 81 - 74 = 7, so 5.5; benchmarks: arith 88 - 71 = 17, copy 97 - 94 = 3, so 10


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "r", whole_run())


def test_a_gate_that_fails_says_why(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: check_command(run, 1, 2, 50)) == GATE
    out, err = capsys.readouterr()
    assert out.startswith("passed: average accuracy 65.7 points [")
    forgot, drop = err.splitlines()
    # McNemar: 7 lost of 7 changed, p = 2 / 2^7 = 0.016; 4 of 4, 0.125; 17 of 17; 3 of 3, 0.25
    assert forgot.startswith("FAILED: forgetting 5.5 points [")
    assert forgot.endswith("], at most 1: sort -7.0 points, p = 0.016; even -4.0 points, p = 0.12")
    assert drop.endswith("], at most 2: arith -17.0 points, p = 1.5e-05; copy -3.0 points, p = 0.25")


def test_noise_fails_no_gate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_command(run, 5, 9.5, 66)  # each is beyond its limit by less than the items can show
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[:2] for line in said] == [["passed", " beyond the limit, but within noise"]] * 3


def test_an_accuracy_below_its_gate(run: Path) -> None:
    with pytest.raises(GateError, match=r"^FAILED: average accuracy 65.7 points \[.*\], at least 80$"):
        check_command(run, None, None, 80)


def test_what_cannot_be_tested_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="name a gate: --max-forgetting POINTS"):
        check_command(run, None, None, None)
    with pytest.raises(RunError, match="is not finished; a gate is on a whole run"):
        check_command(write_run(tmp_path / "half", whole_run()[:-1]), 3, None, None)
    (run / "scores/2-sort.jsonl").write_text("half a li")
    with pytest.raises(RunError, match=r"2-sort.jsonl is missing or damaged: forgetting cannot be tested"):
        check_command(run, 3, None, None)
    alone = [event for event in whole_run() if event.get("name") not in ("arith", "copy")]
    alone[0] = alone[0] | {"benchmarks": []}
    with pytest.raises(RunError, match="has no benchmark drop: it takes a benchmark"):
        check_command(write_run(tmp_path / "alone", alone), None, 2, None)
