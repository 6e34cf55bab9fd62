"""Log lines: one an event, and progress every few seconds at most. ASCII, no colour, never wrapped."""

from collections.abc import Callable
from datetime import datetime

from perdure.agent.run import events
from perdure.agent.run.events import Event
from perdure.agent.run.state import StageState
from perdure.budget.figures import figure
from perdure.cli.views.describe import decision_words, intervention_words, price_words
from perdure.cli.views.format import (
    duration,
    estimate,
    finite,
    kl_words,
    law_words,
    predicted_words,
    share_of_cap,
    state_words,
)
from perdure.cli.views.state import State
from perdure.cli.views.symbols import ASCII, clean

EVERY = 5.0


class PlainLog:
    """Writes the log lines of a run through `write`, which takes one line at a time."""

    def __init__(self, write: Callable[[str], None], every: float = EVERY) -> None:
        self.write, self.every = write, every
        self.last = float("-inf")

    def event(self, state: State, event: Event) -> None:
        """One line for an event that `state` already holds."""
        self.say(event.time, event_words(state, event))

    def progress(self, state: State) -> None:
        """One line for the progress of the moment, unless another was written less than `every` seconds ago."""
        now = state.progress.get("time")
        if isinstance(now, int | float) and now - self.last >= self.every:
            self.last = now
            self.say(now, progress_words(state))

    def say(self, time: float, words: str) -> None:
        """`10:03:21 words`, in local time."""
        self.write(f"{datetime.fromtimestamp(time):%H:%M:%S} {clean(words, ASCII)}")


def event_words(state: State, event: Event) -> str:
    """What one event says, without its time."""
    match event:
        case events.Started():
            tasks, marks = ", ".join(event.tasks), ", ".join(event.benchmarks)
            return f"run {event.run}: tasks {tasks}; benchmarks {marks or 'none'}"
        case events.Finished():
            return f"finished in {duration(event.seconds)}"
        case events.StageEvent():
            return f"{where(state, event.stage)}: {_stage_words(state, event)}"
        case _:
            return OF_A_RUN[type(event)]


OF_A_RUN: dict[type[Event], str] = {
    events.Resumed: "resumed",
    events.Interrupted: "interrupted: perdure resume goes on from here",
    events.Refused: "refused: nothing was trained",
}


def where(state: State, stage: int) -> str:
    """`stage 1/3 even`, `base`."""
    row = state.record.row(stage)
    return f"stage {stage}/{state.stages} {row.name if row else state.name_of(stage)}" if stage else "base"


def _stage_words(state: State, event: events.StageEvent) -> str:
    row, words = state.record.row(event.stage), ""
    match event:
        case events.Priced():
            words = price_words(event, ASCII.plus_minus)
        case events.Decided():
            words = decision_words(row) if row and row.candidates else f"{event.method} ({event.reason})"
        case events.Measured():
            words = _reading_words(row, event)
        case events.Intervened():
            words = intervention_words(event, row)
        case events.EndScored():
            end = "beyond the cap" if event.end == "beyond" else "at the last reading within the cap"
            words = f"{end}: {event.name} {estimate(event.estimate, ASCII.plus_minus)}"
        case events.Scored():
            words = _score_words(state, event)
        case events.Committed():
            law = law_words(state.record, row) if row else ""
            words = f"done in {duration(event.seconds)}, {event.steps} steps, weights {event.weights_sha256[:12]}"
            words += f"; {law}" if law else ""
    return words


def _reading_words(row: StageState | None, reading: events.Measured) -> str:
    over = ", ABOVE THE CAP" if share_of_cap(reading) > 1 else ""
    start = "at the start" if reading.entry or row is None else state_words(row, reading)
    forecast = reading.predicted_forgetting
    law = f", {predicted_words(forecast)}" if forecast and reading.stage else ""
    weight = "" if reading.penalty_weight is None else f", penalty weight {figure(reading.penalty_weight)}"
    return f"{start}, KL {kl_words(reading, ASCII.plus_minus)}{over}{weight}{law}"


def _score_words(state: State, event: events.Scored) -> str:
    value = event.estimate
    words = f"{event.kind} {event.name} {estimate(value, ASCII.plus_minus)} (n={value.n})"
    base = state.record.row(0)
    before = base.scores.get(event.name) if base and event.stage else None
    test = state.changes.get((event.stage, event.name))
    if before is None or min(before.n, value.n) < 2 or not finite(value.value) or not finite(before.value):
        return words if value.n >= 2 else f"{event.kind} {event.name} {estimate(value)}"
    change = value.value - before.value
    p = f", p = {figure(test.p_value)}" if test is not None and finite(test.p_value) else ""
    return f"{words}, {'+' if change >= 0 else ''}{figure(change)} since the base{p}"


def progress_words(state: State) -> str:
    """`stage 1/3 even: training step 12 of 100, reward 0.41, 0:21 left`."""
    progress = state.progress
    parts = [str(progress.get("phase") or "starting")]
    if progress.get("phase") == "training" and progress.get("max_steps"):
        parts[0] += f" step {progress.get('step')} of {progress['max_steps']}"
        parts += [f"{name} {figure(progress[name][-1])}" for name in ("reward", "loss") if progress.get(name)]
        parts += [f"{duration(state.left())} left"] if state.left() is not None else []
    elif progress.get("detail"):
        parts.append(str(progress["detail"]))
    return f"{where(state, state.stage)}: {', '.join(parts)}"
