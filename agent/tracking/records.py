"""Events and steps as records of a tracker: pure functions."""

from collections.abc import Mapping

from perdure.agent.run.events import (
    Committed,
    Decided,
    EndScored,
    Event,
    Finished,
    Intervened,
    Measured,
    Noticed,
    Redone,
    Refused,
    Scored,
    StageEvent,
    Unscored,
)
from perdure.agent.run.state import RunState
from perdure.agent.tracking.contract import Record, Table
from perdure.budget.estimate import Estimate
from perdure.curriculum.worlds.contract import Nouns


def of_step(run_step: int, stage: int, time: float, figures: Mapping[str, float | None]) -> Record:
    """The record of one optimiser step: `train/loss` and so on, without the figures that the method has not."""
    known = {f"train/{name}": value for name, value in figures.items() if value is not None}
    return Record(run_step, time, known | {"stage": float(stage)})


def of_event(event: Event, index: int, state: RunState) -> Record | None:
    """The record of an event, the journal's `index`-th, in the state after it; `None`: nothing is sent of it."""
    record = _record(event, state)
    if record is None:
        return None
    return Record(run_step(event, state), event.time, *record, event=index, rewinds=isinstance(event, Redone))


def run_step(event: Event, state: RunState) -> int:
    """The optimiser step of the whole run at which an event happened; scores and commits are at the end of a stage."""
    if not isinstance(event, StageEvent):
        return _before(len(state.tasks) + 1, state)
    before = _before(event.stage, state)
    match event:
        case Measured(step=step) | Intervened(step=step) | Committed(steps=step):
            return before + step
        case Decided() | Redone():
            return before
    row = state.row(event.stage)
    return before + (0 if row is None else max((one.step for one in row.readings), default=0))


def key_of(event: Event) -> tuple[object, ...] | None:
    """What an event and its repetition by a resumed run have in common; `None`: it is never a repetition."""
    match event:
        case Measured():
            return (Measured, event.stage, event.step, event.entry, event.final)
        case Intervened():
            return (Intervened, event.stage, event.step, event.action)
        case Scored():
            return (Scored, event.stage, event.name)
        case EndScored():
            return (EndScored, event.stage, event.name, event.end)
        case Noticed():
            return (Noticed, event.stage, event.notice)
        case Unscored():
            return (Unscored, event.stage, event.task, event.phase)
        case Decided() | Committed():
            return (type(event), event.stage)
    return None


def retention_table(state: RunState) -> Table:
    """Every score after every stage; the first row is the base's."""
    names = list(dict.fromkeys((*state.tasks, *state.benchmarks)))
    rows = [
        (row.name if row.stage else "base", row.method, *(_value(row.scores.get(name)) for name in names))
        for row in state.rows
    ]
    return Table(("after", "method", *names), tuple(rows))


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _before(stage: int, state: RunState) -> int:
    return sum(row.steps for row in state.done if row.stage < stage)


_Parts = tuple[dict[str, float], dict[str, str], dict[str, Table]]


def _record(event: Event, state: RunState) -> _Parts | None:
    """Metrics, notes and tables."""
    match event:
        case Measured():
            return _reading(event, state.nouns), {}, {}
        case Scored():
            return {f"score/{event.name}": event.value, **_error(f"score/{event.name}", event.stderr)}, {}, {}
        case EndScored():
            return {f"score_{event.end}_cap/{event.name}": event.value}, {}, {}
        case Decided():
            caps = {} if event.cap is None else {"decision/cap": event.cap}
            words = f"stage {event.stage}, {event.name}: {event.method}; {event.reason}"
            return caps | {"decision/steps_spent": float(event.steps_spent)}, {"decision": words}, {}
        case Intervened():
            return _intervention(event)
        case Noticed():
            return {}, {"notice": f"stage {event.stage}: {event.notice}, {event.count} of {event.of or 'all'}"}, {}
        case Unscored():
            why = ", ".join(f"{count} {reason}" for reason, count in event.answers.items())
            return {}, {"notice": f"stage {event.stage}: {event.task} in {event.phase}: {why}"}, {}
        case Committed():
            return {"stage": float(event.stage), "stage_seconds": event.seconds}, {}, {}
        case Refused():
            return {}, {"notice": event.reason}, {}
        case Finished():
            return {"seconds": event.seconds}, {}, {"retention": retention_table(state)}
        case Redone():
            return {}, {"notice": f"stage {event.stage} and all later ones are run again"}, {}
    return None


def _reading(event: Measured, nouns: Nouns) -> dict[str, float]:
    """Nats; the names have the world's own units, such as `kl/per_token` or `kl/per_decision`."""
    token, sequence = f"kl/per_{nouns.token}", f"kl/per_{nouns.sequence}"
    found = {
        token: event.kl_per_token.value,
        **_error(token, event.kl_per_token.stderr),
        sequence: event.kl_per_sequence.value,
        **_error(sequence, event.kl_per_sequence.stderr),
        "kl/upper_bound": event.upper_bound,
        "kl/cap": event.cap,
    }
    if event.penalty_weight is not None:
        found["kl/penalty_weight"] = event.penalty_weight
    if event.predicted_forgetting is not None:
        found["kl/predicted_forgetting"] = event.predicted_forgetting.value
    return found


def _intervention(event: Intervened) -> _Parts:
    figures = {"kl": event.kl, "kl_before": event.kl_before, "kl_after": event.kl_after, "share": event.share}
    known = {f"intervention/{name}": value for name, value in figures.items() if value is not None}
    words = f"stage {event.stage}, step {event.step}: {event.action}, to {event.target}"
    return known | {f"intervention/{event.action}": 1.0}, {"intervention": _with_reason(words, event.reason)}, {}


def _with_reason(words: str, reason: str) -> str:
    return f"{words}; {reason}" if reason else words


def _error(name: str, stderr: float | None) -> dict[str, float]:
    return {} if stderr is None else {f"{name}_stderr": stderr}
