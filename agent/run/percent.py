"""Which scores are shown in per cent, the same in all views: shares, from 0 to 1. Others are shown as they are."""

import math
from collections.abc import Iterable

from perdure.agent.run.state import RunState
from perdure.budget.figures import figure


def in_percent(record: RunState, names: Iterable[str]) -> bool:
    """True if every known score of `names` is a share, from 0 to 1; a return or a perplexity is not.

    One that was asked in part does not tell: it is the base's with the mean change of some items, and may be beyond.
    """
    scored = ((row, name) for row in record.rows for name in names if name in row.scores and name not in row.asked)
    scores = (row.scores[name].value for row, name in scored)
    return all(0 <= one <= 1 for one in scores if math.isfinite(one))


def metric_in_percent(record: RunState, metric: str) -> bool:
    """True if every score that the metric (of `perdure.eval.metrics.FORMULAS`) is made of is a share."""
    return in_percent(record, record.benchmarks if metric == "benchmark_drop" else record.tasks)


def format_score(value: float | None, percent: bool, *, signed: bool = False) -> str:
    """`71.0`, or `212.0` as it is; `signed`, of a change: `+7.0` points, `-14.5`; `n/a`: not known."""
    if value is None or not math.isfinite(value):
        return "n/a"
    words = f"{round(100 * value, 1) + 0.0:.1f}" if percent else figure(value)
    return words if not signed or (value < 0 and words.startswith("-")) else f"+{words}"


def format_change(difference: float, percent: bool) -> str:
    """`-7.0 points`; `-14.5` of scores that are no shares."""
    return format_score(difference, percent, signed=True) + (" points" if percent else "")
