"""The state of a run, folded from the events of its journal: the one place where events become state."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.events import (
    BaseSaved,
    Candidate,
    Committed,
    Decided,
    EndScored,
    Finished,
    Interrupted,
    Intervened,
    Measured,
    Noticed,
    Priced,
    Redone,
    Refused,
    Resumed,
    Scored,
    Started,
    Unscored,
)
from perdure.budget.base_id import kl_settings
from perdure.budget.estimate import Estimate
from perdure.budget.price import StagePrice
from perdure.curriculum.worlds.nouns import Nouns
from perdure.curriculum.worlds.registry import nouns_of
from perdure.eval.scorefile import Asked


@dataclass(frozen=True)
class StageState:
    """One stage: what was decided, measured, done and scored. Stage 0 is the base.

    The last of `readings` is the one that the stage ended with, once it has ended. `cap`, `share`, `candidates`,
    `steps_spent`, `set_aside` and `whole_schedule` are those of the decision (`agent/run/events.py`). `ends` are the
    scores at the ends of the line on which the stage was projected back: `within` the cap, and `beyond` it, where the
    update ended.
    """

    stage: int
    name: str
    method: str | None = None
    reason: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    cap: float | None = None
    share: float | None = None
    steps_spent: int = 0
    set_aside: int = 0
    whole_schedule: bool = False
    ends: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    readings: tuple[Measured, ...] = ()
    interventions: tuple[Intervened, ...] = ()
    notices: tuple[Noticed, ...] = ()
    unscored: tuple[Unscored, ...] = ()
    scores: dict[str, Estimate] = field(default_factory=dict)
    score_files: dict[str, str] = field(default_factory=dict)
    truncated: dict[str, Scored] = field(default_factory=dict)
    by_member: tuple[str, ...] = ()
    asked: dict[str, Asked] = field(default_factory=dict)
    steps: int = 0
    seconds: float | None = None
    weights_sha256: str | None = None
    penalty_weight: float | None = None

    @property
    def committed(self) -> bool:
        return self.weights_sha256 is not None


@dataclass(frozen=True)
class RunState:
    """A run so far; `refusal` says why a strict one was refused, `base_files` are those of `BaseSaved`.

    `edited` names the user's own code that was edited before one of the resumes, `differs` the differences of machine
    and Python at one of them.
    """

    run: str = ""
    tasks: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    rows: tuple[StageState, ...] = ()
    prices: tuple[StagePrice, ...] = ()
    status: Literal["empty", "running", "interrupted", "refused", "finished"] = "empty"
    refusal: str = ""
    started: float | None = None
    resumed: int = 0
    edited: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    base_files: Mapping[str, str] | None = None
    world: str = ""
    base_id: str = ""

    @property
    def nouns(self) -> Nouns:
        """The words of the run's world."""
        return nouns_of(self.world)

    @property
    def kl_settings(self) -> str:
        """The settings that its KL depends on, as words; often none."""
        return kl_settings(self.base_id)

    @property
    def done(self) -> tuple[StageState, ...]:
        """The rows of the stages that are done; the base is none."""
        return tuple(row for row in self.rows if row.stage > 0 and row.committed)

    def row(self, stage: int) -> StageState | None:
        return next((row for row in self.rows if row.stage == stage), None)

    def prompts(self, counted: str) -> str:
        """Whose prompts the KL is on, given the budget's `prompts`: with one task, those `seen` are the `task`'s."""
        return "task" if counted == "seen" and len(self.tasks) == 1 else counted

    def prompts_of_tasks(self, counted: str) -> str:
        """Whose prompts all but the generic KL are on, as in `prompts`: with `both`, those `seen`."""
        return self.prompts("seen" if counted == "both" else counted)

    def measured_drop(self, row: StageState, benchmarks: Sequence[str]) -> float | None:
        """As `drop`, and `None` where a benchmark was asked in part: too coarse for a law."""
        return None if any(name in row.asked for name in benchmarks) else self.drop(row, benchmarks)

    def drop(self, row: StageState, benchmarks: Sequence[str]) -> float | None:
        """Mean over `benchmarks` of the base's score less that after the stage; `None` while one is missing."""
        base = self.row(0)
        if base is None or not benchmarks or not all(name in base.scores and name in row.scores for name in benchmarks):
            return None
        drop = sum(base.scores[name].value - row.scores[name].value for name in benchmarks) / len(benchmarks)
        return drop if math.isfinite(drop) else None


_OfStage = TypeVar("_OfStage", StageState, StagePrice)


def fold(state: RunState, event: Event) -> RunState:
    """The state after one more event. Events that repeat after a resume replace what they repeat."""
    changed: dict[str, Any] = {}
    match event:
        case Started():
            changed = {name: getattr(event, name) for name in ("run", "tasks", "benchmarks", "world", "base_id")}
            changed |= {"status": "running", "started": event.time}
        case Resumed():
            told = {name: (*getattr(state, name), *getattr(event, name)) for name in ("edited", "differs")}
            changed = {"status": "running", "refusal": "", "resumed": state.resumed + 1}
            changed |= {name: tuple(dict.fromkeys(lines)) for name, lines in told.items()}
        case Refused():
            changed = {"status": "refused", "refusal": event.reason}
        case Interrupted():
            changed = {"status": "interrupted"}
        case Finished():
            changed = {"status": "finished"}
        case BaseSaved():
            changed = {"base_files": event.files}
        case Redone():
            kept = tuple(row for row in state.rows if row.stage < event.stage)
            changed = {"status": "interrupted", "rows": kept}
        case Priced():
            changed = {"prices": _placed(state.prices, event)}
        case StageEvent():
            row = _fold_stage(state.row(event.stage) or StageState(event.stage, ""), event)
            changed = {"rows": _placed(state.rows, row)}
    return replace(state, **changed)


def read_state(events: Iterable[Event]) -> RunState:
    """The state after all events."""
    state = RunState()
    for event in events:
        state = fold(state, event)
    return state


def active_seconds(events: Iterable[Event], stage: int | None = None) -> float:
    """Seconds in which the run was active, in all or in one stage, without the time between a stop and a resume.

    Read from the journal, so that it holds across kills: up to the last event before each of them. Of a stage that was
    run again what went before is not counted; of the run it is.
    """
    total = 0.0
    before: Event | None = None
    current = 0
    for event in events:
        current = event.stage if isinstance(event, StageEvent) else current
        if isinstance(event, Redone) and stage is not None and event.stage <= stage:
            total = 0.0
        if before is not None and not isinstance(event, Resumed | Redone) and stage in (None, current):
            total += event.seconds_since(before)
        before = event
    return round(total, 3)


def _placed(old: Iterable[_OfStage], new: _OfStage) -> tuple[_OfStage, ...]:
    """One a stage, in order; the new one in place of that of its stage."""
    by_stage = {one.stage: one for one in old} | {new.stage: new}
    return tuple(by_stage[stage] for stage in sorted(by_stage))


def _fold_stage(row: StageState, event: StageEvent) -> StageState:
    changed: dict[str, Any] = {}
    match event:
        case Decided():
            names = ("name", "method", "reason", "evidence", "candidates", "cap", "share", "steps_spent")
            changed = {name: getattr(event, name) for name in (*names, "set_aside", "whole_schedule")}
        case Measured():
            row = _begun_again(row) if event.entry else row
            readings = [*(old for old in row.readings if _place(old) != _place(event)), event]
            changed = {"readings": tuple(sorted(readings, key=_place))}
        case Intervened():
            changed = {"interventions": (*(old for old in row.interventions if old.action != event.action), event)}
        case Noticed():
            changed = {"notices": (*(old for old in row.notices if old.notice != event.notice), event)}
        case Scored(name=name):
            changed = {"scores": row.scores | {name: event.estimate}}
            changed |= {"score_files": row.score_files | {name: event.file}}
            others = {key: old for key, old in row.truncated.items() if key != name}
            changed |= {"truncated": others | ({name: event} if event.mostly_truncated else {})}
            others_asked = {key: old for key, old in row.asked.items() if key != name}
            changed |= {"asked": others_asked | ({name: event.asked} if event.asked else {})}
            changed |= {"by_member": (*row.by_member, *[name] * (event.by_member and name not in row.by_member))}
        case Unscored(task=task, phase=phase):
            rest = (old for old in row.unscored if (old.task, old.phase) != (task, phase))
            changed = {"unscored": (*rest, event)}
        case EndScored(end=end):
            changed = {"ends": row.ends | {end: row.ends.get(end, {}) | {event.name: event.estimate}}}
        case Committed():
            done = ("name", "method", "steps", "seconds", "weights_sha256", "penalty_weight")
            changed = {name: getattr(event, name) for name in done}
    return replace(row, **changed)


def _begun_again(row: StageState) -> StageState:
    """A stage that begins, before a kill or after it: its end is still to come, whatever was journaled of an end.

    On another machine, or where a saved policy was damaged, it may be another one.
    """
    readings = tuple(one for one in row.readings if not one.final)
    no_scores: dict[str, Any] = {"scores": {}, "score_files": {}, "truncated": {}, "asked": {}, "by_member": ()}
    return replace(row, readings=readings, interventions=(), notices=(), ends={}, **no_scores)


def _place(reading: Measured) -> tuple[bool, int, bool]:
    """The reading that a stage ended with comes last, even where it went back to an earlier step."""
    return (reading.final, reading.step, not reading.entry)
