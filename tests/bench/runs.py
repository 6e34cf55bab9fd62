"""Runs whose every second is accounted for.

As a script, `python -m tests.bench.runs JOB.json`, it runs one in a process of its own and prints one JSON object.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from perdure.agent.loop import run_curriculum
from perdure.agent.run.log import NullView
from perdure.agent.setup import start
from perdure.agent.worlds.base_prompts import reads_probe
from perdure.agent.worlds.contract import Outcome, Progress, UpdateJob, WeightsFile, World
from perdure.budget.monitor import Measurement, Monitor
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task
from tests.bench.bare import digest, peak_megabytes


@dataclass
class StageTimes:
    """Seconds of one update: all of it, and for each step what the step took and what the monitor took after it."""

    update: float = 0.0
    steps: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    sha256: str = ""
    threads: int = 0

    def intervals(self, every: int) -> list[tuple[float, float]]:
        """For each whole interval between readings: seconds of the monitor, and of training.

        The median step stands for all, since the first holds the trainer's set-up and some a checkpoint.
        """
        return [
            (sum(self.watched[begin : begin + every]), every * median(self.steps[begin : begin + every]))
            for begin in range(0, len(self.steps) - every + 1, every)
        ]


class TimedWorld:
    """A world that looks at the clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.times = StageTimes()

    @property
    def policy(self) -> Policy:
        return self._world.policy

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        return self._world.fitted(tasks)

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> Sequence[Any]:
        return self._world.neutral_prompts(count, curriculum)

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        self._world.prepare_base(prompts, folder, seed=seed)

    def measure(self, names: Sequence[str]) -> Measurement:
        return self._world.measure(names)

    def update(self, job: UpdateJob) -> Outcome:
        self.times = StageTimes()
        began = last = time.perf_counter()

        def timed(progress: Progress) -> bool:
            nonlocal last
            called = time.perf_counter()
            self.times.steps.append(called - last)
            stop = job.watch(progress)
            last = time.perf_counter()
            self.times.watched.append(last - called)
            return stop

        def saving() -> WeightsFile | None:
            nonlocal last
            called = time.perf_counter()
            found = job.saving()
            self.times.watched[-1] += time.perf_counter() - called
            last += time.perf_counter() - called
            return found

        outcome = self._world.update(replace(job, watch=timed, saving=saving))
        self.times.update = time.perf_counter() - began
        self.times.sha256 = digest(self._world.policy.model)  # type: ignore[attr-defined]
        return outcome

    @property
    def trained(self) -> Any:
        return self._world.trained

    def become_base(self) -> None:
        self._world.become_base()


def timed_run(curriculum: Curriculum, folder: Path) -> StageTimes:
    """A whole run, from loading the model to the last score; the times are those of its last stage."""
    import torch

    life = start(curriculum, folder, NullView())
    world = TimedWorld(life.world)
    monitor = Monitor(curriculum.budget, world.measure, probe=reads_probe(curriculum))
    run_curriculum(replace(life, world=world, monitor=monitor))
    world.times.threads = torch.get_num_threads()
    return world.times


def main() -> None:
    """Live the run that a file describes."""
    job = json.loads(Path(sys.argv[1]).read_text())
    times = timed_run(Curriculum.model_validate(job["curriculum"]), Path(job["folder"]))
    print(json.dumps(asdict(times) | {"peak": peak_megabytes()}))


if __name__ == "__main__":
    main()
