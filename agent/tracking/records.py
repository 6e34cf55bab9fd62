"""Events and steps as records of a tracker: pure functions."""

import math
from pathlib import Path

from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.events import (
    Committed,
    Decided,
    EndScored,
    Finished,
    Intervened,
    Measured,
    Noticed,
    Redone,
    Refused,
    Scored,
    Unscored,
)
from perdure.agent.run.state import RunState, StageState
from perdure.agent.run.steps import FIGURES, Step, read_steps
from perdure.agent.tracking.contract import LoggedTable, Record
from perdure.curriculum.worlds.nouns import Nouns


def of_step(step: Step) -> Record:
    """The record of one optimiser step: `train/loss` and so on, without the figures that the method has not."""
    known = {f"train/{name}": value for name, value in step.figures.items() if value is not None}
    return Record(step.run_step, step.time, known | {"stage": float(step.stage)})


def of_past_steps(folder: Path) -> list[Record]:
    """The records of the steps in a run folder.

    Raises:
        RunError: a record is damaged.
    """
    rows = read_steps(folder).sort_values("run_step").to_dict("records")
    return [
        of_step(
            Step(
                **{name: row[name] for name in ("stage", "name", "step", "run_step", "time")},
                figures={name: row[name] for name in FIGURES if not math.isnan(row[name])},
            )
        )
        for row in rows
    ]


def of_event(event: Event, index: int, state: RunState) -> Record | None:
    """The record of an event, the journal's `index`-th, in the state after it; `None`: nothing is sent of it."""
    record = _record(event, state)
    if record is None:
        return None
    return Record(run_step(event, state), event.time, *record, event=index, rewinds=isinstance(event, Redone))


def run_step(event: Event, state: RunState) -> int:
    """The optimiser step of the whole run at which an event happened.

    The end of a stage is its last step: there stand its scores, and the reading that it ended with, even of a policy
    that was taken back to an earlier step.
    """
    if not isinstance(event, StageEvent):
        return _before(len(state.tasks) + 1, state)
    before = _before(event.stage, state)
    match event:
        case Measured(step=step, final=False) | Intervened(step=step) | Committed(steps=step):
            return before + step
        case Decided() | Redone():
            return before
    row = state.row(event.stage)
    return before + (0 if row is None else max((one.step for one in row.readings), default=0))


REPEATED: dict[type[Event], tuple[str, ...]] = {
    Decided: ("stage",),
    Measured: ("stage", "step", "entry", "final"),
    Intervened: ("stage", "step", "action"),
    EndScored: ("stage", "name", "end"),
    Scored: ("stage", "name"),
    Noticed: ("stage", "notice"),
    Unscored: ("stage", "task", "phase"),
    Committed: ("stage",),
}


def key_of(event: Event) -> tuple[object, ...] | None:
    """What an event and its repetition by a resumed run have in common; `None`: it is never a repetition."""
    names = REPEATED.get(type(event))
    return None if names is None else (type(event), *(getattr(event, name) for name in names))


def retention_table(state: RunState) -> LoggedTable:
    """Every score after every stage, but those asked in part; the first row is the base's."""
    names = list(dict.fromkeys((*state.tasks, *state.benchmarks)))
    rows = [
        (row.name if row.stage else "base", row.method, *(_value(row, name) for name in names)) for row in state.rows
    ]
    return LoggedTable(("after", "method", *names), tuple(rows))


def _value(row: StageState, name: str) -> float | None:
    return row.scores[name].value if name in row.scores and name not in row.asked else None


def _before(stage: int, state: RunState) -> int:
    return sum(row.steps for row in state.done if row.stage < stage)


_Parts = tuple[dict[str, float], dict[str, str], dict[str, LoggedTable]]


def _record(event: Event, state: RunState) -> _Parts | None:
    """Metrics, notes and tables."""
    metrics: dict[str, float] = {}
    words: dict[str, str] = {}
    tables: dict[str, LoggedTable] = {}
    match event:
        case Measured():
            metrics = {} if _is_known(event, state) else _reading(event, state.nouns)
        case Scored():
            name = f"{'score' if event.asked is None else 'score_in_part'}/{event.name}"
            metrics = {name: event.value, **_error(name, event.stderr)}
        case EndScored():
            metrics = {f"score_{event.end}_cap/{event.name}": event.value}
        case Decided():
            metrics = {"decision/steps_spent": float(event.steps_spent)}
            metrics |= {} if event.cap is None else {"decision/cap": event.cap}
            words = {"decision": f"stage {event.stage}, {event.name}: {event.method}; {event.reason}"}
        case Intervened():
            metrics = _intervention(event)
            what = f"stage {event.stage}, step {event.step}: {event.action}, to {event.target}"
            words = {"intervention": f"{what}; {event.reason}" if event.reason else what}
        case Committed():
            metrics = {"stage": float(event.stage), "stage_seconds": event.seconds}
        case Finished():
            metrics, tables = {"seconds": event.seconds}, {"retention": retention_table(state)}
        case _:
            words = _notice(event)
    return (metrics, words, tables) if metrics or words else None


def _is_known(event: Measured, state: RunState) -> bool:
    """True if a stage ended with the very reading that was taken at its last step."""
    row = state.row(event.stage)
    during = [one for one in row.readings if not one.final] if event.final and row is not None else []
    return bool(during) and (during[-1].step, during[-1].kl, during[-1].cap) == (event.step, event.kl, event.cap)


def _notice(event: Event) -> dict[str, str]:
    text = None
    match event:
        case Noticed():
            text = f"stage {event.stage}: {event.notice}, {event.count} of {event.of or 'all'}"
        case Unscored():
            why = ", ".join(f"{count} {reason}" for reason, count in event.answers.items())
            text = f"stage {event.stage}: {event.task} in {event.phase}: {why}"
        case Refused():
            text = event.reason
        case Redone():
            text = f"stage {event.stage} and all later ones are run again"
    return {} if text is None else {"notice": text}


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
    for name, one in ((token, event.kl_generic_per_token), (sequence, event.kl_generic_per_sequence)):
        if one is not None:
            found[name.replace("kl/", "kl/generic_")] = one.value
    if event.penalty_weight is not None:
        found["kl/penalty_weight"] = event.penalty_weight
    if event.predicted_forgetting is not None:
        found["kl/predicted_forgetting"] = event.predicted_forgetting.value
    return found


def _intervention(event: Intervened) -> dict[str, float]:
    figures = {"kl": event.kl, "kl_before": event.kl_before, "kl_after": event.kl_after, "share": event.share}
    known = {f"intervention/{name}": value for name, value in figures.items() if value is not None}
    return known | {f"intervention/{event.action}": 1.0}


def _error(name: str, stderr: float | None) -> dict[str, float]:
    return {} if stderr is None else {f"{name}_stderr": stderr}
