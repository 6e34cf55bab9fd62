"""Tries a method on a fork of the policy: a few steps, what they gained, lost and moved, and then all as before.

A trial is the beginning of the stage by the method, with two differences. It leaves out the items that it is measured
on: those set aside of the task, and of earlier tasks those that could be replayed. And its learning rate is the stage's
own from the first step to the last: a warm-up or a decay over a handful of steps would say nothing of a stage. What
else depends on the length of the stage, such as the weight of `chord`'s two terms, is as it is at the stage's
beginning.

Nothing is left of it: its folder is removed, the weights come back from a file, and generators are put back. Killed
anywhere it is made again from the start, with the same seed and so the same result.
"""

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from perdure.agent.enforcement.stage_cap import controller_for
from perdure.agent.life import Life
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import TrialResult
from perdure.agent.weights import restore_weights, write_weights
from perdure.agent.worlds.contract import Progress, World
from perdure.agent.worlds.job import update_job
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Stage
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task, questions
from perdure.curriculum.worlds.learnable import facts_of, lacking, learnable_by
from perdure.curriculum.worlds.methods import MethodError
from perdure.eval.preserve_rng import preserve_rng
from perdure.eval.sampled_rewards import (
    demonstrated_rewards,
    earlier_items,
    item_means,
    last_items,
    measured_items,
    sampled_evaluation,
    sampled_rewards,
    set_aside,
)

FOLDER = "trial"
"""Inside the folder of the stage, while a trial goes on."""

Before = tuple[list[float], list[float], float | None]
"""The mean reward of each item set aside, and of each of the earlier tasks, and the KL from the writer."""


@dataclass
class TrialRunner:
    """Tries methods on one stage. What they are measured against is measured once.

    `cap` is that of the stage, to which a penalty would steer; `kl` the reading's at its start. Only training items are
    looked at; `answers` are those sampled so far.
    """

    life: Life
    number: int
    stage: Stage
    task: Task
    cap: float
    kl: float
    answers: int = 0
    _measured: dict[tuple[str, frozenset[str], int], list[float]] = field(default_factory=dict)

    def attempt(self, method: str, steps: int, num_prompts: int, k: int) -> TrialResult:
        """`steps` steps of a method; see `Situation.attempt` and `TrialResult`.

        Raises:
            ConfigError: a method that cannot learn the task, or a number below 1.
            PerdureError: the method cannot learn what is left of the task without the items set aside.
        """
        self.check(method, {"steps": steps, "num_prompts": num_prompts, "k": k})
        begun, asked = time.perf_counter(), self.answers
        before = self.measure_before(method, num_prompts, k)
        folder = self.life.folder.partial_stage(self.number, self.stage.name) / FOLDER
        with preserve_rng(), forked(self.life.world, folder):
            watch = self._train(method, steps, num_prompts, folder)
            figures = self.figures(method, before, num_prompts, k, broken=watch.broken)
        seconds = time.perf_counter() - begun
        found = TrialResult(
            method=method,
            steps=watch.made,
            **figures,
            seconds=seconds,
            seconds_a_step=watch.seconds_a_step,
            kl_midway=watch.kl_midway,
            answers=self.answers - asked,
        )
        return ranks.told(lambda: found)

    def measure_before(self, method: str, num_prompts: int, k: int) -> Before:
        """The mean rewards of each item as the stage begins with it, and the KL from the writer."""
        with preserve_rng():
            rewards, kept = self.rewards(num_prompts, k, now=False), self.kept(num_prompts, k, now=False)
            return rewards, kept, self._writer_kl(method, num_prompts)

    def figures(self, method: str, measured: Before, num_prompts: int, k: int, *, broken: bool) -> dict[str, Any]:
        """The figures of a `TrialResult` that the policy as it is now gives; NaN where the update broke."""
        before, kept_before, writer_kl_before = measured
        after = [math.nan] * len(before) if broken else self.rewards(num_prompts, k)
        kept = [math.nan] * len(kept_before) if broken else self.kept(num_prompts, k)
        gain, stderr = _rise(before, after)
        rise, lost_stderr = _rise(kept_before, kept)
        _, aside = set_aside(self.task, num_prompts)
        return {
            "before": fmean(before),
            "after": fmean(before) + gain,
            "stderr": stderr,
            "kl_before": self.kl,
            "kl": math.nan if broken else self.kl_now(),
            "lost": -rise if kept_before else None,
            "lost_stderr": lost_stderr,
            "kept": fmean(kept_before) if kept_before else None,
            "not_replayed": len(kept_before),
            "writer_kl_before": writer_kl_before,
            "writer_kl": math.nan if broken else self._writer_kl(method, num_prompts),
            "written": fmean(demonstrated_rewards(self.task, aside)) if writer_kl_before is not None else None,
        }

    def _writer_kl(self, method: str, num_prompts: int) -> float | None:
        """KL(writer ‖ policy as it is) on the items set aside, if the method imitates and somebody wrote."""
        if "demonstrations" not in self.life.curriculum.method(method).needs:
            return None
        found = self.life.world.kl_from_writer(set_aside(self.task, num_prompts)[1])
        return fmean(found) if found else None

    def rates(self, num_prompts: int, k: int, stage: int | None = None) -> dict[str, float]:
        """See `Situation.rates`."""
        number = self.number if stage is None else stage
        tasks = self.life.tasks[:number]
        measured = measured_items(tasks[-1], tasks[:-1], num_prompts)
        with preserve_rng():
            return {
                task.name: fmean(self._means(one, task, items, k, now=False))
                for one, task, items in zip(self.life.curriculum.stages, tasks, measured, strict=False)
                if items
            }

    def rate(self, num_prompts: int, k: int) -> float:
        """See `Situation.rate`."""
        with preserve_rng():
            return fmean(self._means(self.stage, self.task, last_items(self.task, num_prompts), k, now=False))

    def check(self, method: str, counts: Mapping[str, int], who: str = "attempt") -> None:
        """Refuse a method that cannot learn the task, and numbers below 1; `who` asked.

        Raises:
            ConfigError: says which, and what can.
        """
        able = learnable_by(self.life.curriculum.spec, facts_of(self.task))
        try:
            lacks = lacking(self.life.curriculum.method(method), facts_of(self.task))
        except MethodError:
            lacks = (method,)
        if lacks:
            raise ConfigError(f"{who}: {method!r} cannot be tried on this task; it can be learned by {', '.join(able)}")
        for name, value in counts.items():
            if value < 1:
                raise ConfigError(f"{who}: {name} is {value}; it must be at least 1")

    def _train(self, method: str, steps: int, num_prompts: int, folder: Path) -> "_Watch":
        life, curriculum = self.life, self.life.curriculum
        watch = _Watch(self, method, steps)
        job = update_job(
            curriculum,
            life.tasks,
            life.world.policy,
            self.number,
            curriculum.method(method),
            left_out=num_prompts,
            same_steps=False,
            change=lambda settings: at_full_rate(settings, most=steps),
            seed=derive(curriculum.seed, "trial", self.stage.name, method),
            folder=folder,
            watch=watch,
            controller=controller_for(life, self.number, self.cap),
        )
        life.world.update(job)
        return watch

    def rewards(self, num_prompts: int, k: int, *, now: bool = True) -> list[float]:
        """Mean reward of each item set aside, with the same draws whenever it is asked."""
        return self._means(self.stage, self.task, set_aside(self.task, num_prompts)[1], k, now=now)

    def kept(self, num_prompts: int, k: int, *, now: bool = True) -> list[float]:
        """The same of the `earlier_items`, which no trial trains on or replays."""
        earlier = self._earlier()
        trained, _ = set_aside(self.task, num_prompts)
        measured = earlier_items([task for _, task in earlier], trained, num_prompts)
        return [
            mean
            for (stage, task), items in zip(earlier, measured, strict=True)
            if items
            for mean in self._means(stage, task, items, k, now=now)
        ]

    def _earlier(self) -> list[tuple[Stage, Task]]:
        return list(zip(self.life.curriculum.stages, self.life.tasks[: self.number - 1], strict=False))

    def _means(self, stage: Stage, task: Task, items: Sequence[Item], k: int, *, now: bool) -> list[float]:
        """Mean rewards of the policy `now`, or as it was when the stage began, which is measured once."""
        life, place = self.life, (stage.name, questions(items), k)
        if not now and place in self._measured:
            return self._measured[place]
        evaluation = sampled_evaluation(life.curriculum, stage)
        seed = derive(life.curriculum.seed, "set aside", stage.name)
        means = item_means(sampled_rewards(task, items, life.world.policy, evaluation, k=k, seed=seed))
        self.answers += k * len(items)
        if not now:
            self._measured[place] = means
        return means

    def kl_now(self) -> float:
        """The KL that the budget counts, of the policy as it is."""
        tasks = [task.name for task in self.life.tasks[: self.number]]
        return self.life.monitor.read(0, tasks, self.cap).kl.value


@contextmanager
def forked(world: World, folder: Path) -> Iterator[None]:
    """An empty `folder` inside; the policy as before, and the folder gone, after."""
    ranks.told(lambda: _empty(folder))
    start = folder / "start.safetensors"
    ranks.told(lambda: write_weights(world.trained, start))
    try:
        yield
    finally:
        restore_weights(world.trained, start)
        ranks.wait()
        ranks.told(lambda: shutil.rmtree(folder))


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


class _Watch:
    """Ends a trial after its steps; notes when each was made, whether one broke, and the KL half-way."""

    def __init__(self, trials: TrialRunner, method: str, steps: int) -> None:
        self._trials, self._method, self._steps = trials, method, steps
        self._times: list[float] = []
        self._last = time.perf_counter()
        self.made = 0
        self.broken = False
        self.kl_midway: float | None = None

    def __call__(self, progress: Progress) -> bool:
        self._times.append(time.perf_counter() - self._last)
        self.made = progress.step
        figures = [one for one in (progress.loss, progress.reward) if one is not None]
        self.broken = not all(map(math.isfinite, figures))
        detail = f"trying {self._method}: step {progress.step} of {self._steps}"
        self._trials.life.logger.phase(
            "deciding", stage=self._trials.number, name=self._trials.stage.name, detail=detail
        )
        if progress.step == self._steps // 2 and not self.broken:
            self.kl_midway = self._trials.kl_now()
        self._last = time.perf_counter()
        return self.broken or progress.step >= self._steps

    @property
    def seconds_a_step(self) -> float:
        """Without the first step, which holds what is done once, unless it is the only one."""
        return fmean(self._times[1:] or self._times or [0.0])


def _rise(before: Sequence[float], after: Sequence[float]) -> tuple[float, float | None]:
    """The mean rise of items and its standard error; 0 without an item, no error below two."""
    rises = [now - then for now, then in zip(after, before, strict=True)]
    known = len(rises) > 1 and all(map(math.isfinite, rises))
    return fmean(rises or [0.0]), stdev(rises) / math.sqrt(len(rises)) if known else None


SCHEDULE = ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio")
"""The settings that decide the learning rate of a step, under TRL's names."""


def at_full_rate(settings: Common, *, most: int) -> Common:
    """The settings of a trial of `most` steps: the learning rate of the stage throughout, and no checkpoints."""
    changes: dict[str, object] = {"lr_scheduler_type": "constant", "warmup_steps": 0}
    if "save_steps" in type(settings).model_fields:
        changes["save_steps"] = most + 1
    library = getattr(settings, "trl", None)
    if library is not None:
        changes["trl"] = {name: value for name, value in library.items() if name not in SCHEDULE}
    return settings.model_copy(update=changes)
