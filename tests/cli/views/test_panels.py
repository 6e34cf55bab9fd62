"""The parts of the live view."""

from perdure.cli.views.live import live
from perdure.cli.views.panels import metric_lines
from perdure.cli.views.symbols import UNICODE
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
    lines = metric_lines({"forgetting": MetricEstimate(None), "benchmark_drop": MetricEstimate(0.125)}, 80, UNICODE)
    assert [line.plain.split("  mean")[0].rstrip() for line in lines] == [
        "forgetting          n/a",
        "benchmark drop     12.5 %",
    ]
