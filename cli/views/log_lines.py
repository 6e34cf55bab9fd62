"""Log lines: one an event, and progress every few seconds. ASCII, without colour, never wrapped."""

from collections.abc import Callable
from datetime import datetime

from perdure.agent.run import events
from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.percent import in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure, p_value
from perdure.cli.views.cells import change_since_base
from perdure.cli.views.describe import (
    describe_decision,
    describe_intervention,
    describe_price,
    describe_resumed,
    describe_unscored,
)
from perdure.cli.views.format import (
    format_duration,
    format_estimate,
    format_forecast,
    format_generic,
    format_kl,
    format_law,
    is_finite,
    name_state,
    share_of_cap,
)
from perdure.cli.views.panels import items
from perdure.cli.views.state import State
from perdure.cli.views.symbols import ASCII, clean

EVERY = 5.0
"""Seconds between two lines of progress, at least."""


class LogLines:
    """Writes the log lines of a run through `write`, one at a time."""

    def __init__(self, write: Callable[[str], None], every: float = EVERY) -> None:
        self.write, self.every = write, every
        self.last = float("-inf")

    def event(self, state: State, event: Event) -> None:
        """Log an event that `state` already holds."""
        self.say(event.time, describe_event(state, event))

    def progress(self, state: State) -> None:
        """Log the current progress, unless it was logged less than `every` seconds ago; before the run begins, always.

        There the phases are few, and each may last long.
        """
        now = state.progress.get("time")
        if isinstance(now, int | float) and (state.sets_up or abs(now - self.last) >= self.every):
            self.last = now
            self.say(now, describe_progress(state, now))

    def beat(self, state: State, now: float) -> None:
        """Log that the phase goes on, and for how long it has."""
        since = state.progress.get("since")
        how_long = f", for {format_duration(max(now - since, 0.0))}" if isinstance(since, int | float) else ""
        self.say(now, f"{describe_progress(state, now)}{how_long}")

    def say(self, time: float, text: str) -> None:
        """`10:03:21 text`, in local time."""
        self.write(f"{datetime.fromtimestamp(time):%H:%M:%S} {clean(text, ASCII)}")


def describe_event(state: State, event: Event) -> str:
    """One event, without its time."""
    match event:
        case events.Started():
            tasks, marks = ", ".join(event.tasks), ", ".join(event.benchmarks)
            base = f"; base {event.resolved['base']}" if "base" in event.resolved else ""
            settings = f"; KL at {state.record.kl_settings}" if state.record.kl_settings else ""
            return f"run {event.run}: tasks {tasks}; benchmarks {marks or 'none'}{base}{settings}"
        case events.Resumed() if event.edited or event.differs:
            return f"resumed, {' and '.join(describe_resumed(event.edited, event.differs))}"
        case events.Finished():
            return f"finished in {format_duration(event.seconds)}"
        case StageEvent():
            return f"{where(state, event.stage)}: {_stage_event(state, event)}"
        case _:
            return RUN_EVENTS[type(event)]


RUN_EVENTS: dict[type[Event], str] = {
    events.Resumed: "resumed",
    events.BaseSaved: "the base's side of the KL is saved",
    events.Interrupted: "interrupted: perdure resume goes on from here",
    events.Refused: "refused: nothing was trained",
}


def where(state: State, stage: int) -> str:
    """`stage 1/3 even`, `base`."""
    row = state.record.row(stage)
    return f"stage {stage}/{state.stages} {row.name if row else state.name_of(stage)}" if stage else "base"


def _stage_event(state: State, event: StageEvent) -> str:
    row, words = state.record.row(event.stage), ""
    match event:
        case events.Redone():
            words = "to be run again, and all later ones"
        case events.Priced():
            words = describe_price(event, ASCII.plus_minus, state.record.nouns)
        case events.Decided():
            words = describe_decision(row) if row and row.candidates else f"{event.method} ({event.reason})"
        case events.Measured():
            words = _reading_words(state.record, row, event)
        case events.Intervened():
            words = describe_intervention(event, row)
        case events.Noticed():
            words = describe_notice(event, state.record.nouns)
        case events.Unscored():
            words = describe_unscored(event, state.record.nouns)
        case events.EndScored():
            end = "beyond the cap" if event.end == "beyond" else "at the last reading within the cap"
            words = f"{end}: {event.name} {format_estimate(event.estimate, ASCII.plus_minus)}"
        case events.Scored():
            words = _score(state, event) + (
                f"; {event.truncated} of {event.n} answers were cut off at evaluation.max_completion_length"
                if event.mostly_truncated
                else ""
            )
            words += f"; {event.asked.n} of {event.asked.of} items asked" if event.asked else ""
        case events.Committed():
            law = format_law(state.record, row) if row else ""
            words = (
                f"done in {format_duration(event.seconds)}, {event.steps} steps, weights {event.weights_sha256[:12]}"
            )
            words += f"; {law}" if law else ""
    return words


def _reading_words(record: RunState, row: StageState | None, reading: events.Measured) -> str:
    nouns = record.nouns
    generic = format_generic(reading, ASCII.plus_minus, nouns)
    over = ", ABOVE THE CAP" if share_of_cap(reading) > 1 else ""
    start = "at the start" if reading.entry or row is None else name_state(row, reading)
    start = f"at the end ({start})" if reading.final and reading.stage else start
    forecast = reading.predicted_forgetting
    shares = in_percent(record, forecast.benchmarks) if forecast else True
    law = f", {format_forecast(forecast, shares)}" if forecast and reading.stage else ""
    weight = "" if reading.penalty_weight is None else f", penalty weight {figure(reading.penalty_weight)}"
    return f"{start}, KL {format_kl(reading, ASCII.plus_minus, nouns)}{over}{generic}{weight}{law}"


def _score(state: State, event: events.Scored) -> str:
    value = event.estimate
    words = f"{event.kind} {event.name} {format_estimate(value, ASCII.plus_minus)} (n={value.n})"
    base = state.record.row(0)
    before = base.scores.get(event.name) if base and event.stage else None
    test = state.changes.get((event.stage, event.name))
    if before is None or min(before.n, value.n) < 2 or not is_finite(value.value) or not is_finite(before.value):
        return words if value.n >= 2 else f"{event.kind} {event.name} {format_estimate(value)}"
    row = state.record.row(event.stage)
    assert row is not None, "a score makes its row"
    change = change_since_base(state.record, row, event.name, state.changes)
    p = f", {p_value(test.p_value)}" if test is not None and is_finite(test.p_value) else ""
    return f"{words}, {'+' if change >= 0 else ''}{figure(change)} since the base{p}"


def describe_progress(state: State, now: float) -> str:
    """`stage 1/3 even: training step 12 of 100, reward 0.41, 0:21 left, about 3:40 to the end of the run`."""
    progress = state.progress
    if state.sets_up:
        return f"{state.title}: {progress.get('phase')}"
    parts = [str(progress.get("phase") or "starting")]
    if progress.get("phase") == "training" and progress.get("max_steps"):
        parts[0] += f" step {progress.get('step')} of {progress['max_steps']}"
        parts += [f"{name} {figure(progress[name][-1])}" for name in ("reward", "loss") if progress.get(name)]
        seconds = state.remaining()
        parts += [] if seconds is None else [f"{format_duration(seconds)} left"]
    elif progress.get("detail"):
        parts.append(str(progress["detail"]))
    counted, left = items(progress), state.run_remaining(now)
    parts += [] if counted is None else [f"{counted[0]} of {counted[1]}"]
    parts += [] if left is None else [f"about {format_duration(left)} to the end of the run"]
    return f"{where(state, state.stage)}: {', '.join(parts)}"
