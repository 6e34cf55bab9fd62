"""The state of a view: the run's own, its progress, the paired tests against the base, and times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perdure.agent.run.event import Event
from perdure.agent.run.events import Finished, Interrupted, Redone, Refused, Resumed, Scored, Started
from perdure.agent.run.state import RunState, StageState, fold
from perdure.cli.views.cells import PairedTests
from perdure.cli.views.time_left import stage_left, time_left

ProgressReport = Mapping[str, Any]
"""The current progress of a run, as in its `progress.json`."""


@dataclass(frozen=True)
class StepPace:
    """The first step seen of a stage, and its time: a resumed stage does not begin at step 0."""

    stage: int
    step: int
    time: float


@dataclass(frozen=True)
class State:
    """A run as seen now.

    Attributes:
        begun: when this process began to work on it, before the run's first event.
        spent: the seconds it was active up to its last event, `latest` (as `perdure.agent.run.state.active_seconds`).
        note: a line about its process.
        gone: it has no process.
    """

    title: str = ""
    record: RunState = field(default_factory=RunState)
    progress: ProgressReport = field(default_factory=dict)
    changes: PairedTests = field(default_factory=dict)
    begun: float | None = None
    spent: float = 0.0
    latest: Event | None = None
    pace: StepPace | None = None
    note: str = ""
    gone: bool = False

    @property
    def heading(self) -> str:
        """`demo`, or `demo (bins 21, action_repeat 5)` where the KL depends on such settings."""
        settings = self.record.kl_settings
        return f"{self.title} ({settings})" if settings else self.title

    @property
    def last(self) -> float | None:
        """The time of the last event."""
        return None if self.latest is None else self.latest.time

    @property
    def stage(self) -> int:
        """The current stage: the one that the progress names, else the newest of the run."""
        named = self.progress.get("stage")
        newest = max((row.stage for row in self.record.rows), default=0)
        return named if isinstance(named, int) else newest

    @property
    def row(self) -> StageState:
        """The state of the current stage, perhaps still empty."""
        found = self.record.row(self.stage)
        return found or StageState(self.stage, str(self.progress.get("name") or self.name_of(self.stage)))

    @property
    def stages(self) -> int:
        return len(self.record.tasks)

    def name_of(self, stage: int) -> str:
        """The name of a stage by the order of the tasks."""
        return self.record.tasks[stage - 1] if 0 < stage <= self.stages else "base"

    @property
    def sets_up(self) -> bool:
        """True while the process loads what the run needs; from its first event on the run itself says its progress."""
        return "phase" in self.progress and "pid" not in self.progress

    def elapsed(self, now: float | None = None) -> float:
        """Seconds active so far: up to `now` while it runs or begins, else up to the last event."""
        if now is not None and self.begun is not None and self.record.status == "empty":
            return max(now - self.begun, 0.0)
        if self.sets_up:
            return self.spent
        if now is None or self.last is None or self.record.status != "running" or self.gone:
            return self.spent
        return self.spent + max(now - self.last, 0.0)

    def remaining(self) -> float | None:
        """Seconds of training to the end of this stage, at the pace since the first step seen."""
        step, steps, time = (self.progress.get(name) for name in ("step", "max_steps", "time"))
        if self.pace is None or not isinstance(step, int) or not isinstance(steps, int) or time is None:
            return None
        done = step - self.pace.step
        return max(time - self.pace.time, 0.0) / done * max(steps - step, 0) if done > 0 else None

    def run_remaining(self, now: float) -> float | None:
        """Seconds to the end of the run, about, as `perdure.cli.views.time_left` has it."""
        if self.gone or self.sets_up:
            return None
        stage = 0 if self.row.committed else self.stage
        since, begun = self.progress.get("since"), self.progress.get("stage_started")
        in_phase, in_stage = (max(now - one, 0.0) if isinstance(one, int | float) else 0.0 for one in (since, begun))
        left = stage_left(self.record, str(self.progress.get("phase")), self.remaining(), in_phase)
        return time_left(self.record, stage, in_stage, left)


def with_event(state: State, event: Event, run_folder: Path | None = None) -> State:
    """The state after one more event; a new score is tested against the base where its per-item files are there."""
    follows = state.latest is not None and not isinstance(event, Resumed | Redone)
    passed = event.seconds_since(state.latest) if follows and state.latest is not None else 0.0
    record = _named(fold(state.record, event))
    state = replace(state, title=state.title or record.run, record=record, spent=state.spent + passed, latest=event)
    match event:
        case Started() | Resumed() | Finished() | Interrupted() | Refused():
            return replace(state, progress={}, pace=None)
        case Scored() if event.stage > 0 and run_folder is not None:
            one = _only(record, event.stage, event.name)
            return replace(state, changes={**state.changes, **paired_tests(one, run_folder)})
        case _:
            return state


def with_events(state: State, events: Iterable[Event], run_folder: Path | None = None) -> State:
    """The state after past events; the tests are made once, at the end."""
    for event in events:
        state = with_event(state, event)
    return replace(state, changes=paired_tests(state.record, run_folder)) if run_folder is not None else state


def with_progress(state: State, progress: ProgressReport) -> State:
    """The state with newer progress; the pace starts anew with the stage, or where training went back."""
    stage, step, time = (progress.get(name) for name in ("stage", "step", "time"))
    pace = state.pace
    training = progress.get("phase") == "training"
    if training and isinstance(stage, int) and isinstance(step, int) and time is not None:
        begins = pace is None or pace.stage != stage or step < pace.step
        pace = StepPace(stage, step, time) if begins else pace
    if "since" not in progress:
        same = progress.get("phase") == state.progress.get("phase")
        progress = {**progress, "since": state.progress.get("since") if same else time}
    return replace(state, progress=progress, pace=pace)


def _named(record: RunState) -> RunState:
    """The record with names, by the order of the tasks, for stages without a decision so far."""
    if all(row.name for row in record.rows):
        return record
    names = ("base", *record.tasks)
    rows = (
        replace(row, name=names[row.stage]) if not row.name and row.stage < len(names) else row for row in record.rows
    )
    return replace(record, rows=tuple(rows))


def _only(record: RunState, stage: int, name: str) -> RunState:
    """The record of the base and of one score, so that a test reads no more than two files."""
    rows = tuple(
        replace(
            row,
            scores={name: row.scores[name]} if name in row.scores else {},
            score_files={name: row.score_files[name]} if name in row.score_files else {},
        )
        for row in record.rows
        if row.stage in (0, stage)
    )
    return replace(record, rows=rows)


def paired_tests(record: RunState, run_folder: Path) -> PairedTests:
    """The paired tests against the base; none where files cannot be read, since a view must not end a run."""
    from perdure.agent.run.report import changes

    try:
        return changes(record, run_folder)
    except (OSError, ValueError, KeyError):
        return {}
