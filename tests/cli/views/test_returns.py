"""Scores that are no shares, such as returns: every view shows them as they are, as the table of `show` does."""

from dataclasses import replace
from pathlib import Path

import pytest

import perdure
from perdure.agent.api.lines import Lines
from perdure.agent.run.find import read_run
from perdure.agent.run.journal import read_journal
from perdure.agent.run.percent import format_change, format_score, in_percent, metric_in_percent
from perdure.budget.errors import GateError
from perdure.budget.estimate import Estimate
from perdure.cli.commands.check import check_command
from perdure.cli.commands.compare import compare_command
from perdure.cli.commands.show import show_command
from perdure.eval.scorefile import Asked, ItemResult, make_score, write_scores
from tests.cli.journals import Line, whole_run, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return returns_run(tmp_path_factory.mktemp("returns") / "r", 300)


def returns_run(folder: Path, scale: float) -> Path:
    """`whole_run` with returns of `scale` times the shares of the task `even`, one above and below on its items."""
    events = [scaled(one, scale) for one in whole_run()]
    write_run(folder, events)
    for one in events:
        if one.get("name") == "even" and one["event"] == "score":
            items = [ItemResult(str(i), one["value"] + (1 if i % 2 else -1)) for i in range(100)]
            write_scores(folder / one["file"], make_score("even", "task", items), {}, items)
    return folder


def scaled(one: Line, scale: float) -> Line:
    return one | {"value": scale * one["value"]} if one.get("name") == "even" and "value" in one else one


def test_the_rule() -> None:
    assert [format_score(one, True) for one in (0.714, -0.0001, None)] == ["71.4", "0.0", "n/a"]
    assert format_score(212.04, False) == "212.0" and format_score(0.0, True, signed=True) == "+0.0"
    assert [format_change(-0.07, True), format_change(-12.0, False)] == ["-7.0 points", "-12.00"]


def test_one_return_makes_a_column_and_its_metrics_no_shares(run: Path) -> None:
    record, _ = read_run(run)
    assert [in_percent(record, [name]) for name in ("even", "sort", "arith")] == [False, True, True]
    assert [metric_in_percent(record, name) for name in ("average_accuracy", "benchmark_drop")] == [False, True]


def test_an_estimate_from_a_part_of_the_items_does_not_tell(run: Path) -> None:
    record = read_run(run)[0]
    row = record.rows[1]
    below = row.scores | {"chain": Estimate(-0.006, 0.01, 10)}
    rows = (record.rows[0], replace(row, scores=below, asked={"chain": Asked(10, 100, -0.1, 0.1)}), *record.rows[2:])
    assert in_percent(replace(record, rows=rows), ["chain"])
    assert not in_percent(replace(record, rows=(replace(row, scores=below),)), ["chain"])


# even: 63, 216, 210, 204 in place of 21, 72, 70, 68; the mean at the end (204 + 0.74 + 0.55) / 3 = 68.43;
# forgetting (216 - 204 + 0.81 - 0.74) / 2 = 6.035


def test_the_lines_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(run)
    for event in read_journal(run / "journal.jsonl"):
        lines.event(event)
    out = capsys.readouterr().out
    assert "even 204.0, sort 74.0 %" in out and "20400" not in out


def test_the_table_of_a_notebook(run: Path) -> None:
    html = perdure.open_run(run)._repr_html_()
    assert "<td>204.0</td>" in html and "<td>74.0%</td>" in html


def test_the_metrics_of_show(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_command(run, as_json=False)
    out = capsys.readouterr().out
    assert "204.0 +141.0" in out
    assert "68.43 [" in out and "6.035 [" in out and "10.0 % [" in out


def test_a_comparison(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare_command([run, returns_run(tmp_path / "other", 310)], "table")
    lines = {line.split()[0]: " ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()}
    # 0.68 * 310 - 0.68 * 300 = 6.8
    assert lines["even"].startswith("even 204.0 210.8 +6.800* [+6.800, +6.800], p = ")
    assert lines["sort"].startswith("sort 74.0 74.0 +0.0")
    assert lines["average"].startswith("average accuracy 68.43 70.70 +2.267")
    assert "as they are" in lines["figures"]


def test_a_gate_is_in_the_unit_of_the_scores(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_command(run, 6.1, None, 68)
    assert "passed: forgetting 6.035 [" in capsys.readouterr().out
    with pytest.raises(GateError, match=r"^FAILED: forgetting 6.035 \[.*\], at most 5: even -12.00, p = "):
        check_command(run, 5, None, None)
