"""The law's forecast beside every reading, and beside the measurement once there is one."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perdure.agent.run.lines import from_json
from perdure.agent.run.report import run_object
from perdure.budget.monitor import Forecast
from perdure.cli.commands.show import show_command
from perdure.cli.views.format import format_forecast, format_points
from perdure.cli.views.live import LiveView, final, live
from perdure.cli.views.symbols import ASCII, UNICODE
from tests.cli.drawn import folded, plain, seen
from tests.cli.journals import Line, whole_run, write_run

WORDS = "predicted forgetting 3.1 points [1.8, 4.9]"


def forecast(**fields: Any) -> dict[str, Any]:
    usual = {"value": 0.031, "low": 0.018, "high": 0.049, "inside": True, "benchmarks": ["arith", "copy"]}
    return usual | {"level": 0.95, "other_prompts": False, "other_base": False} | fields


def foretold(**fields: Any) -> list[Line]:
    """A run in which every reading carries a forecast."""
    law = {"predicted_forgetting": forecast(**fields)}
    return [event | (law if event["event"] == "reading" else {}) for event in whole_run()]


def before(kind: str, stage: int) -> list[Line]:
    """The run up to the first event of a kind in a stage."""
    events = foretold()
    return events[: next(i for i, event in enumerate(events) if event["event"] == kind and event["stage"] == stage)]


def expected(**fields: Any) -> Forecast:
    return Forecast(**forecast(**fields))


def test_words_of_a_forecast() -> None:
    assert format_forecast(expected()) == WORDS
    assert format_forecast(expected(inside=False)) == f"{WORDS}, outside the range the law was fitted on"
    few = expected(level=5 / 7)
    assert format_forecast(few) == f"{WORDS} (71.4 % interval)"
    assert format_forecast(replace(few, level=0.95, other_prompts=True)) == f"{WORDS} (fitted on other prompts)"
    other = replace(few, level=0.95, other_prompts=True, other_base=True)
    assert format_forecast(other) == f"{WORDS} (fitted on other prompts, fitted on another base)"
    assert format_forecast(replace(few, inside=False, other_prompts=True)) == (
        f"{WORDS} (71.4 % interval, fitted on other prompts), outside the range the law was fitted on"
    )
    assert [format_points(share) for share in (0.0271, -0.0001, float("nan"))] == ["2.7", "0.0", "n/a"]


def test_the_pane_shows_it_below_the_kl_and_then_the_measurement() -> None:
    training = live(seen(before("score", 2)), 0.0, UNICODE, 100, 30)
    kl = next(i for i, line in enumerate(training) if line.plain.startswith("KL"))
    assert training[kl + 1].plain == f"law     {WORDS}"
    # arith 0.88 to 0.71 and copy 0.97 to 0.94: (0.17 + 0.03) / 2
    assert f"law     {WORDS}; measured 10.0" in plain(final(seen(foretold()), {}, UNICODE, 100))


def test_nothing_is_measured_before_every_benchmark_of_the_law_is_scored() -> None:
    events = foretold()
    last = max(i for i, event in enumerate(events) if event["event"] == "score" and event["stage"] == 3)
    assert "measured" not in plain(live(seen(events[:last]), 0.0, UNICODE, 100, 30))
    assert "measured" in plain(live(seen(events[: last + 1]), 0.0, UNICODE, 100, 30))


def test_only_the_benchmarks_of_the_law_count() -> None:
    # copy alone: 0.97 to 0.94
    lines = plain(final(seen(foretold(benchmarks=["copy"])), {}, UNICODE, 100))
    assert f"{WORDS}; measured 3.0" in lines
    assert "measured" not in plain(final(seen(foretold(benchmarks=["other"])), {}, UNICODE, 100))


@pytest.mark.parametrize("width", [40, 60])
def test_it_is_never_wider_than_the_terminal(width: int) -> None:
    for line in live(seen(foretold(inside=False)), 0.0, ASCII, width, 12):
        assert line.cell_len <= width


def test_without_a_law_there_is_no_line() -> None:
    assert "law " not in plain(live(seen(whole_run()), 0.0, UNICODE, 100, 30))


def test_log_lines_tell_it() -> None:
    file = io.StringIO()
    with LiveView("demo", plain=True, console=Console(file=file)) as view:
        for event in foretold():
            view.event(from_json(event))
    said = [line[9:] for line in file.getvalue().splitlines()]
    assert f"stage 1/3 even: step 20, KL 0.080 +/- 0.010 of 0.500 nats/token, {WORDS}" in said
    # arith 0.88 to 0.86, copy unchanged
    assert any(
        line.startswith("stage 1/3 even: done in 0:41") and line.endswith(f"{WORDS}; measured 1.0") for line in said
    )


def test_show_tells_it_of_every_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo", foretold())
    show_command(run, as_json=False)
    text = capsys.readouterr().out
    assert f"  law       {WORDS}; measured 1.0" in text
    # arith 0.88 to 0.72, copy 0.97 to 0.95
    assert f"  law       {WORDS}; measured 9.0" in text
    show_command(run, as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["predicted_forgetting"] for row in rows] == [None, *[forecast()] * 3]


def test_an_old_journal_has_no_forecast(tmp_path: Path) -> None:
    record = folded(whole_run())
    assert [row["predicted_forgetting"] for row in run_object(record, tmp_path)["rows"]] == [None] * 4
    readings = [reading for row in record.rows for reading in row.readings]
    assert all(reading.predicted_forgetting is None for reading in readings)
    assert all(reading.predictors.keys() == {"kl_base_to_policy"} for reading in readings)


def test_the_record_keeps_further_divergences() -> None:
    reading = next(event for event in whole_run() if event["event"] == "reading")
    value = {"value": 0.4, "stderr": 0.1, "n": 9}
    record = folded([reading | {"kl_policy_to_base_per_token": value, "unknown_per_token": value}])
    assert record.rows[0].readings[0].predictors == {"kl_base_to_policy": 0.0, "kl_policy_to_base": 0.4}


def test_a_drop_needs_every_score() -> None:
    record = folded(whole_run())
    assert record.drop(record.rows[1], ["arith"]) == pytest.approx(0.02)
    assert record.drop(record.rows[1], ["arith", "missing"]) is None
    assert record.drop(record.rows[1], []) is None
