"""Figures as text: the same in the live view, in log lines and in reports."""

import math
from collections.abc import Mapping
from typing import Any

from perdure.agent.run.events import Measured
from perdure.agent.run.percent import format_score, in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.budget.figures import KL_ROUNDING, figure, format_pair, nats
from perdure.budget.monitor import Forecast
from perdure.curriculum.worlds.nouns import Nouns

USUAL = Nouns()
"""The words of a world that has none of its own."""
USUAL_LEVEL = 0.95
"""Of an interval whose level goes without saying."""


def is_finite(value: float | None) -> bool:
    """True for a finite number; a journal may hold NaN or nothing."""
    return value is not None and math.isfinite(value)


def format_duration(seconds: float | None) -> str:
    """`1:42`, `2:03:04`, `n/a`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "n/a"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_estimate(value: Estimate, sign: str = "±", shown: str | None = None) -> str:
    """`0.213 ± 0.010`, or `shown` for the figure; `n/a (n=1)` where there is too little data."""
    if value.n < 2 or not is_finite(value.value):
        return f"n/a (n={value.n})"
    error = "" if value.stderr is None else f" {sign} {nats(value.stderr)}"
    return (shown or nats(value.value)) + error


def share_of_cap(reading: Measured) -> float:
    """The KL that counts against the cap, over the cap; infinite where it is no number."""
    return reading.upper_bound / reading.cap if is_finite(reading.upper_bound) and reading.cap > 0 else math.inf


def format_kl(reading: Measured, sign: str = "±", nouns: Nouns = USUAL) -> str:
    """`0.213 ± 0.010 of 0.500 nats/token`, with a `confidence` `0.213 ± 0.010, at most 0.230, of 0.500 nats/token`."""
    value = reading.kl
    rounded = 0.0 if abs(value.value) < KL_ROUNDING <= reading.cap else value.value
    cap, shown, most = format_pair(reading.cap, rounded, reading.upper_bound)
    words = format_estimate(value, sign, shown) if value.n >= 2 else f"{shown} (n={value.n})"
    return f"{words}{f', at most {most},' if bounded(reading) else ''} of {cap} nats/{nouns.unit(reading.unit)}"


def format_generic(reading: Measured, sign: str = "±", nouns: Nouns = USUAL) -> str:
    """`; on generic prompts 0.120 ± 0.010`, where it was read beside; where that one is counted, that on the tasks'."""
    if reading.kl_generic is None:
        return ""
    tasks = reading.kl_per_token if reading.unit == "token" else reading.kl_per_sequence
    if reading.on_generic:
        return f"; this is on generic {nouns.prompt}s, on those of tasks {format_estimate(tasks, sign)}"
    words = f"; on generic {nouns.prompt}s {format_estimate(reading.kl_generic, sign)}"
    return "" if tasks == reading.kl_generic else words


def bounded(reading: Measured) -> bool:
    """True where the upper end of the KL's interval counts against the cap, and not the KL itself."""
    return is_finite(reading.upper_bound) and reading.upper_bound != reading.kl.value


def format_forecast(predicted: Forecast, percent: bool = True) -> str:
    """`predicted forgetting 3.1 points [1.8, 4.9]`; caveats follow: `(71.4 % interval, fitted on other prompts)`."""
    value, low, high = (format_score(one, percent) for one in (predicted.value, predicted.low, predicted.high))
    caveats = [f"{round(100 * predicted.level, 1):g} % interval"] if predicted.level < USUAL_LEVEL else []
    caveats += ["fitted on other prompts"] if predicted.other_prompts else []
    caveats += ["fitted on another base"] if predicted.other_base else []
    end = f" ({', '.join(caveats)})" if caveats else ""
    end += "" if predicted.inside else ", outside the range the law was fitted on"
    return f"predicted forgetting {value}{' points' if percent else ''} [{low}, {high}]{end}"


def format_law(record: RunState, row: StageState) -> str:
    """The law's forecast at the newest reading of a stage and, once it is scored, the forgetting measured."""
    reading = last_reading(row)
    if reading is None or reading.predicted_forgetting is None or row.stage == 0:
        return ""
    measured = record.drop(row, reading.predicted_forgetting.benchmarks) if reading.final else None
    fitted = reading.predicted_forgetting.benchmarks
    percent = in_percent(record, fitted)
    words = format_forecast(reading.predicted_forgetting, percent)
    if measured is None:
        return words
    on = f" on {', '.join(fitted)}" if set(record.benchmarks) - set(fitted) else ""
    part = " (asked in part)" if any(name in row.asked for name in fitted) else ""
    return f"{words}; measured {format_score(measured, percent)}{on}{part}"


def format_points(share: float) -> str:
    """A share in points (hundredths): `3.1`; `n/a` for no number."""
    return format_score(share, percent=True)


def last_reading(row: StageState) -> Measured | None:
    """The reading that a stage ended with, or the newest one so far."""
    return row.readings[-1] if row.readings else None


def name_state(row: StageState, reading: Measured) -> str:
    """The name of the state that a reading measured: `step 40`; at the end also `projected` or `after recovery`."""
    moved = [event.action for event in row.interventions if event.action != "stop" and not event.undone]
    last = moved[-1] if reading.final and moved else ""
    return END_NAMES.get(last, f"step {reading.step}")


END_NAMES = {"project": "projected", "recover": "after recovery", "average": "averaged"}
"""The ends of a stage that no step led to, by the last intervention that moved the policy (`stop` does not)."""


def format_cap(row: StageState, nouns: Nouns = USUAL) -> str:
    """`0.500 of the run's 1.000 nats/token`, where the stage's cap is below the run's."""
    entry = next((reading for reading in row.readings if reading.entry), None)
    if entry is None or row.cap is None or not row.cap < entry.cap:
        return ""
    asked = "" if row.share is None else f"; the strategy asked for {format_percent(row.share)} of the budget left"
    most, cap = format_pair(entry.cap, row.cap)
    return f"{cap} of the run's {most} nats/{nouns.unit(entry.unit)}{asked}"


def format_penalty(row: StageState) -> str:
    """`weight 0.213 at the last reading`: the KL term's in the loss; nothing without one."""
    weights = [reading.penalty_weight for reading in row.readings if reading.penalty_weight is not None]
    return f"weight {figure(weights[-1])} at the last reading" if weights else ""


def format_percent(share: float | None) -> str:
    """`37 %`; `n/a` for no number."""
    return "n/a" if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def format_evidence(evidence: Mapping[str, Any], sign: str = "±") -> str:
    """`pass@8 0.620 ± 0.050, demonstrations yes, budget left 1.000`, whatever the strategy measured.

    The `rungs` of a race stand with its decision.
    """
    facts = {str(name): value for name, value in evidence.items() if value != [] and name != "rungs"}
    return ", ".join(f"{name.replace('_', ' ')} {_fact(value, sign)}" for name, value in facts.items())


def _fact(value: Any, sign: str) -> str:
    match value:
        case None:
            return "n/a"
        case bool():
            return "yes" if value else "no"
        case float():
            return figure(value)
        case {"value": int() | float() as mean, "stderr": stderr, "n": n}:
            return format_estimate(Estimate(mean, stderr, n), sign)
        case dict():
            return "{" + format_evidence(value, sign) + "}"
        case _:
            listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
            return " and ".join(value) if listed else str(value)
