"""A run as its journal tells it: the one place where events become state. Imports no torch."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from perdure.agent.run.journal import Event

PER_TOKEN = "_per_token"
OTHERS = ("kl_policy_to_base_per_token", "total_variation_per_token", "l2_distributions_per_token")


@dataclass(frozen=True)
class Value:
    """An estimate with its standard error (`None`: cannot be told) over `n` items."""

    value: float
    stderr: float | None
    n: int


@dataclass(frozen=True)
class Predicted:
    """The mean drop of `benchmarks` that a law expected at a reading, and its interval, as fractions.

    Not `inside`: the KL was outside the range that the law was fitted on. `level` is that of the interval (`None`: not
    told); `other_prompts`: the law was fitted to KL on other prompts.
    """

    value: float
    low: float
    high: float
    inside: bool
    benchmarks: tuple[str, ...] = ()
    level: float | None = None
    other_prompts: bool = False


@dataclass(frozen=True)
class Reading:
    """One measurement of the forward KL from base to policy, in nats.

    `others` are further divergences by their names in the journal, for the forgetting law. `bound` is what is held
    against the cap where the budget has a `confidence`: the upper end of the KL's interval. `penalty_weight` is that of
    the KL term in the loss, where there is one.
    """

    step: int
    kl_per_token: Value
    kl_per_sequence: Value
    cap: float
    unit: str
    within: bool
    entry: bool = False
    final: bool = False
    others: dict[str, Value] = field(default_factory=dict)
    predicted: Predicted | None = None
    bound: float | None = None
    penalty_weight: float | None = None

    @property
    def kl(self) -> Value:
        """The estimate that the budget counts."""
        return self.kl_per_sequence if self.unit == "sequence" else self.kl_per_token

    @property
    def predictors(self) -> dict[str, float]:
        """What the forgetting law looks at, by the names it knows: nats a token, or fractions."""
        others = {name.removesuffix(PER_TOKEN): value.value for name, value in self.others.items()}
        return {"kl_base_to_policy": self.kl_per_token.value} | others


@dataclass(frozen=True)
class Price:
    """What was told of a stage before the life: the base's rate on its task, and the least KL that the target takes.

    `floor` is in nats a whole answer on the stage's own prompts, `need` is what that comes to in the KL that the budget
    counts; both are `None` where they cannot be told. `left` is what the budget leaves for it. `floor_interval` are the
    floors at the ends of the rate's 95 % interval.
    """

    stage: int
    name: str
    base_rate: Value
    target: float
    floor: float | None
    need: float | None
    left: float
    floor_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """One stage: what was decided, read, done and scored. Row 0 is the base.

    The last of `readings` is the one that the stage ended with, once it has ended. `cap` is what the stage was allowed,
    `share` the part of what was left that its strategy asked for, if it did, `candidates` what that knew of each
    method, and `steps_spent` the steps of trials that were taken off the stage's own. `ends` are the scores at the ends
    of the line on which the stage was projected back: `within` the cap, and `beyond` it, where the update ended.
    """

    stage: int
    name: str
    method: str | None = None
    reason: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    candidates: tuple[dict[str, Any], ...] = ()
    cap: float | None = None
    share: float | None = None
    steps_spent: int = 0
    ends: dict[str, dict[str, Value]] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    interventions: tuple[Event, ...] = ()
    scores: dict[str, Value] = field(default_factory=dict)
    score_files: dict[str, str] = field(default_factory=dict)
    steps: int = 0
    seconds: float | None = None
    weights_sha256: str | None = None

    @property
    def committed(self) -> bool:
        return self.weights_sha256 is not None


@dataclass(frozen=True)
class Record:
    """A life so far; `refusal` says why a strict one was not lived."""

    run: str = ""
    tasks: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    prices: tuple[Price, ...] = ()
    status: Literal["empty", "running", "interrupted", "refused", "finished"] = "empty"
    refusal: str = ""
    started: float | None = None
    resumed: int = 0

    def row(self, stage: int) -> Row | None:
        return next((row for row in self.rows if row.stage == stage), None)

    def prompts(self, counted: str) -> str:
        """Whose prompts the KL is on, given the budget's `prompts`: with one task, those `seen` are the `task`'s."""
        return "task" if counted == "seen" and len(self.tasks) == 1 else counted

    def drop(self, row: Row, benchmarks: Sequence[str]) -> float | None:
        """Mean over `benchmarks` of the base's score less that after the stage; `None` while one is missing."""
        base = self.row(0)
        if base is None or not benchmarks or not all(name in base.scores and name in row.scores for name in benchmarks):
            return None
        drop = sum(base.scores[name].value - row.scores[name].value for name in benchmarks) / len(benchmarks)
        return drop if math.isfinite(drop) else None


def fold(record: Record, event: Event) -> Record:
    """The record after one more event. Events that repeat after a resume replace what they repeat."""
    kind = event["event"]
    if kind in ("started", "resumed", "interrupted", "refused", "finished"):
        return _fold_life(record, event)
    stage = event["stage"]
    if kind == "price":
        others = [old for old in record.prices if old.stage != stage]
        return replace(record, prices=tuple(sorted([*others, _price(event)], key=lambda price: price.stage)))
    row = record.row(stage) or Row(stage, event.get("name", ""))
    rows = sorted(
        [*(old for old in record.rows if old.stage != stage), _fold_row(row, event)], key=lambda row: row.stage
    )
    return replace(record, rows=tuple(rows))


def read_record(events: Iterable[Event]) -> Record:
    """The record of all events."""
    record = Record()
    for event in events:
        record = fold(record, event)
    return record


def active_seconds(events: Iterable[Event], stage: int | None = None) -> float:
    """Seconds in which the run was alive, in all or in one stage; the time between a stop and a resume is not counted.

    Told from the journal, so that it holds across kills: up to the last event before each of them.
    """
    total, before = 0.0, None
    current = 0
    for event in events:
        current = event.get("stage", current)
        if before is not None and event["event"] != "resumed" and stage in (None, current):
            total += event["time"] - before
        before = event["time"]
    return round(total, 3)


def _fold_life(record: Record, event: Event) -> Record:
    match event["event"]:
        case "started":
            names: dict[str, Any] = {kind: tuple(event[kind]) for kind in ("tasks", "benchmarks")}
            return replace(record, run=event["run"], status="running", started=event["time"], **names)
        case "resumed":
            return replace(record, status="running", refusal="", resumed=record.resumed + 1)
        case "refused":
            return replace(record, status="refused", refusal=event["reason"])
        case other:
            return replace(record, status=other)


def _fold_row(row: Row, event: Event) -> Row:
    match event["event"]:
        case "decision":
            return replace(
                row,
                name=event["name"],
                method=event["method"],
                reason=event["reason"],
                evidence=event["evidence"],
                candidates=tuple(event.get("candidates", ())),
                cap=event.get("cap"),
                share=event.get("share"),
                steps_spent=event.get("steps_spent", 0),
            )
        case "reading":
            reading = _reading(event)
            others = [old for old in row.readings if _place(old) != _place(reading)]
            return replace(row, readings=tuple(sorted((*others, reading), key=_place)))
        case "intervention":
            kept = tuple(old for old in row.interventions if old["action"] != event["action"])
            return replace(row, interventions=(*kept, event))
        case "score" | "end_score":
            return _fold_score(row, event)
        case "commit":
            return replace(
                row,
                name=event["name"],
                method=event["method"],
                steps=event["steps"],
                seconds=event["seconds"],
                weights_sha256=event["weights_sha256"],
            )
        case _:
            return row


def _fold_score(row: Row, event: Event) -> Row:
    name, value = event["name"], _value(event)
    if event["event"] == "end_score":
        there = row.ends.get(event["end"], {}) | {name: value}
        return replace(row, ends=row.ends | {event["end"]: there})
    return replace(row, scores=row.scores | {name: value}, score_files=row.score_files | {name: event["file"]})


def _value(event: Event) -> Value:
    return Value(event["value"], event["stderr"], event["n"])


def _price(event: Event) -> Price:
    told = ("stage", "name", "target", "floor", "need", "left")
    interval = event.get("floor_interval")
    return Price(
        base_rate=Value(**event["base_rate"]),
        floor_interval=None if interval is None else (interval[0], interval[1]),
        **{name: event[name] for name in told},
    )


def _reading(event: Event) -> Reading:
    return Reading(
        step=event["step"],
        kl_per_token=Value(**event["kl_per_token"]),
        kl_per_sequence=Value(**event["kl_per_sequence"]),
        cap=event["cap"],
        unit=event["unit"],
        within=event["within"],
        entry=event["entry"],
        final=event["final"],
        others={name: Value(**event[name]) for name in OTHERS if name in event},
        predicted=_predicted(event.get("predicted_forgetting")),
        bound=event.get("bound"),
        penalty_weight=event.get("penalty_weight"),
    )


def _predicted(found: dict[str, Any] | None) -> Predicted | None:
    if found is None:
        return None
    return Predicted(
        value=found["value"],
        low=found["low"],
        high=found["high"],
        inside=found["inside"],
        benchmarks=tuple(found["benchmarks"]),
        level=found.get("level"),
        other_prompts=found.get("other_prompts", False),
    )


def _place(reading: Reading) -> tuple[bool, int, bool]:
    """The reading that a stage ended with comes last, even where it went back to an earlier step."""
    return (reading.final, reading.step, not reading.entry)
