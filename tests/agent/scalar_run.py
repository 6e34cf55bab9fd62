"""Runs in the world of one number, and those who look on or kill them."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agent.life import Life
from perdure.agent.loop import run_curriculum
from perdure.agent.run.event import Event
from perdure.agent.run.folder import RunFolder, create
from perdure.agent.run.journal import read_journal
from perdure.agent.run.lines import from_json
from perdure.agent.run.log import RunLogger
from perdure.agent.run.state import RunState, StageState, read_state
from perdure.agent.run.steps import Step, read_steps
from perdure.agent.strategies.contract import Decision, Situation
from perdure.agent.worlds.base_prompts import needs_terms
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum
from perdure.eval.benchmarks import prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from tests.agent.scalar_world import scalar_task
from tests.plugin.perdure_scalar.world import ScalarWorld


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that is no disk's where the system has such a one: every event of a run is synced, which takes time."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Onlooker:
    """Counts what it is shown, and may cry out at a chosen event."""

    def __init__(self, cry_at: int | None = None) -> None:
        self.events: list[Event] = []
        self.cry_at = cry_at
        self.said: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) == self.cry_at:
            raise Killed

    def past(self, events: Any) -> None:
        pass

    def step(self, step: Step) -> None:
        pass

    def progress(self, progress: dict[str, Any]) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


class Killed(BaseException):
    """Stands for a kill: nothing in perdure catches it."""


class Always:
    """One method, and one share of what is left or none."""

    def __init__(self, method: str = "sft", share: float | None = None) -> None:
        self.method, self.share = method, share

    def choose(self, situation: Situation) -> Decision:
        return Decision(self.method, "always", share=self.share)


def curriculum(stages: int = 2, rate: float = 0.1, train: Mapping[str, Any] | None = None, **budget: Any) -> Curriculum:
    source = {"type": "python", "path": "m:f"}
    if "recover" in budget.get("enforce", ()):
        budget["generic"] = "builtin:skills"
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "scalar"},
            "budget": {"kl": 1.0, "every": 2} | budget,
            "strategy": {"type": "fixed", "method": "sft"},
            "train": {"learning_rate": rate, "max_steps": 6, "save_steps": 3} | dict(train or {}),
            "stages": [{"name": f"task{number}", "task": source} for number in range(stages)],
        }
    )


def scalar_run(
    path: Path, config: Curriculum, world: ScalarWorld, view: Onlooker | None = None, strategy: Any = None
) -> Life:
    items = 4 if needs_terms(config) else 2  # half of them for the term
    tasks = tuple(
        scalar_task(stage.name, f"{0.6 * (1 + index):.1f}", items) for index, stage in enumerate(config.stages)
    )
    fresh = not path.exists()
    folder = create(path, {}) if fresh else RunFolder(path)
    logger = RunLogger(folder, view or Onlooker())
    if fresh:
        logger.log(
            from_json({"event": "started", "run": path.name, "tasks": [task.name for task in tasks], "benchmarks": []})
        )
    return Life(
        curriculum=config,
        tasks=tasks,
        world=world,
        monitor=Monitor(config.budget, world.measure),
        scorecard=Scorecard(tasks, prepare_benchmarks([]), config.evaluation, path),
        strategy=strategy or Always(),
        folder=folder,
        logger=logger,
    )


def run_through(path: Path, config: Curriculum, on_step: Callable[[int], float | None] = lambda step: None) -> RunState:
    run_curriculum(scalar_run(path, config, ScalarWorld(on_step)))
    return record_of(path)


def record_of(path: Path) -> RunState:
    return read_state(read_journal(path / "journal.jsonl"))


def steps_of(path: Path) -> Any:
    """The record of every step, without the times."""
    return read_steps(path).drop(columns="time")


def row_of(record: RunState, stage: int) -> StageState:
    row = record.row(stage)
    assert row is not None
    return row


def outcome(record: RunState) -> Any:
    """What a run came to, without its times."""
    return [
        (row.name, row.steps, row.cap, row.readings, row.scores, row.ends, row.weights_sha256) for row in record.rows
    ]
