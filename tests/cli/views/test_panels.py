"""The parts of the live view."""

import pytest

from perdure.agent.run.state import RunState
from perdure.cli.views.live import live
from perdure.cli.views.panels import format_metric, header, metric_lines, phase_line
from perdure.cli.views.symbols import ASCII, UNICODE
from perdure.eval.metrics import MetricEstimate
from tests.cli.drawn import plain, state_of, up_to
from tests.cli.journals import START


def test_markup_in_a_reason_is_text() -> None:
    events = up_to("decision", 1)
    events[-1] = events[-1] | {"reason": "[red]x[/red] \x1b[31m"}
    assert "why     [red]x[/red] \\x1b[31m" in plain(live(state_of(events, stage=1), START, UNICODE, 80, 24))


def test_a_nan_in_a_curve_is_marked() -> None:
    state = state_of(up_to("decision", 2), loss=[1.0, float("nan")], reward=[])
    assert "loss    ▁✗ NaN" in plain(live(state, START, UNICODE, 80, 24))


def test_metrics_that_cannot_be_told() -> None:
    metrics = {"forgetting": MetricEstimate(None), "benchmark_drop": MetricEstimate(0.125)}
    lines = metric_lines(RunState(), metrics, 80, UNICODE)
    assert [line.plain.split("  mean")[0].rstrip() for line in lines] == [
        "forgetting          n/a",
        "benchmark drop     12.5 %",
    ]


def test_a_phase_turns_counts_and_has_a_clock() -> None:
    assert [phase_line("scoring", {}, 80, ASCII, now).plain[8] for now in (0, 0.125, 0.25, 0.375, 0.5)] == [*"|/-\\|"]
    loading = {"since": START, "phase": "loading the libraries"}
    assert (
        phase_line("loading the libraries", loading, 80, UNICODE, START + 7).plain[9:] == " loading the libraries  0:07"
    )
    counted = {"detail": "even (1 of 5)", "done": 25, "total": 100, "since": START}
    line = phase_line("scoring", counted, 80, UNICODE, START).plain
    assert line[9:] == f" scoring  even (1 of 5)  {'━' * 6}{'─' * 18}  25 of 100"
    assert len(phase_line("scoring", counted, 40, UNICODE, START).plain) <= 40


@pytest.mark.parametrize("width", [80, 120])
def test_the_time_left_of_the_run_stands_in_the_header(width: int) -> None:
    line, _ = header("demo", "running", "stage 2 of 3", 102, width, UNICODE, 220)
    assert line.plain.endswith("stage 2 of 3 · running · 1:42 · about 3:40 left") and len(line.plain) == width
    assert "left" not in header("demo", "running", "stage 1 of 3", 2, width, UNICODE)[0].plain


def test_a_metric_is_never_minus_zero() -> None:
    assert format_metric(MetricEstimate(-0.0004, low=-0.0004, high=0.01)) == "  0.0 % [0.0, 1.0]"
