"""The smallest world there is: a policy of one number. Its KL to the base is the number's square, in nats a token."""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.weights import restore_weights, write_weights
from perdure.agent.worlds.contract import Largest, Outcome, Progress, SaveAndStop, UpdateJob, Watch
from perdure.budget.config import RecoverConfig
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method, Sizes

FILE = "weight.safetensors"


class ScalarPolicy:
    """Answers every prompt with its number, rounded."""

    def __init__(self) -> None:
        self.tensor = torch.zeros((), dtype=torch.float64)

    @property
    def weight(self) -> float:
        return float(self.tensor)

    @weight.setter
    def weight(self, value: float) -> None:
        self.tensor.fill_(value)

    def respond(self, prompts: Sequence[Any], *, num_samples: int = 1, **_: Any) -> list[list[str]]:
        return [[f"{self.weight:.1f}"] * num_samples for _ in prompts]

    def fingerprint(self) -> str:
        return sha256(struct.pack("<d", self.weight)).hexdigest()

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_weights({"weight": self.tensor}, folder / FILE)

    def restore(self, folder: Path) -> None:
        restore_weights({"weight": self.tensor}, folder / FILE)


class ScalarWorld:
    """An update adds `learning_rate` a step, and writes a checkpoint every `save_steps`.

    `rl` goes half as far, `chord` back and forth; modifiers slow it or pull it back. `noise` is how far the KLs of a
    task's three texts lie apart, as a share of their mean, which then differs by task. `wobble` is how much the KL goes
    up and down along a line.
    """

    kind = "scalar"
    warnings = ()
    base_id = "zero"

    def __init__(
        self, on_step: Callable[[int], float | None] = lambda step: None, *, noise: float = 0.0, wobble: float = 0.0
    ) -> None:
        self.policy = ScalarPolicy()
        self.on_step = on_step
        self.noise, self.wobble = noise, wobble
        self.steps_done = 0
        self.measured = 0

    @property
    def resolved(self) -> dict[str, str]:
        return {}

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        return tuple(tasks)

    def refuse_unfit(self, *items: Any) -> None:
        """See `World.refuse_unfit`. Every item fits."""

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> list[int]:
        return list(range(count))

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        folder.mkdir(exist_ok=True)

    def measure(self, names: Sequence[str]) -> Measurement:
        self.measured += 1
        groups = tuple(self._group(name) for name in names)
        return Measurement(groups, groups, groups, groups, groups, groups)

    def conflicts(self, items: Sequence[Item]) -> None:
        """See `World.conflicts`. Nobody writes numbers."""

    def kl_from_writer(self, items: Sequence[Item]) -> list[float]:
        """See `World.kl_from_writer`."""
        return []

    def _group(self, name: str) -> Group:
        weight = self.policy.weight
        kl = weight * weight
        if self.wobble and math.isfinite(kl):
            kl *= 1 + self.wobble * math.sin(9 * weight)
        factors = [1 + self.noise * (derive(text, name) / 2**30 - 1) for text in range(3)]
        return Group(tuple(kl * factor for factor in factors), (1, 1, 1))

    def update(self, job: UpdateJob) -> Outcome:
        checkpoint = job.folder / "checkpoints" / "last.json"
        checkpoint.parent.mkdir(exist_ok=True)
        start, settings = 0, job.settings.objective
        if checkpoint.exists():
            start, self.policy.weight, penalty = json.loads(checkpoint.read_text())
            if job.controller is not None:
                job.controller.weight = penalty
        most = settings.max_steps or 10
        rate = settings.learning_rate or 0.1
        for step in range(start + 1, most + 1):
            self.steps_done += 1
            self._step(self._gradient(job, step), rate, job)
            loss = self.on_step(step)
            try:
                if job.watch(Progress(step, most, loss=0.5 if loss is None else loss)):
                    return Outcome(step, "stopped")
            except SaveAndStop:
                self._save(checkpoint, step, job)
                raise
            if step % (getattr(settings, "save_steps", None) or 5) == 0 or step == most:
                self._save(checkpoint, step, job)
        return Outcome(most, "completed")

    def _gradient(self, job: UpdateJob, step: int) -> float:
        """That of the objective, slowed by replay and pulled back by every other modifier but `average`."""
        gradient = {"rl": 0.5, "chord": -1.5 if step % 3 == 0 else 1.0}.get(job.method.objective.name, 1.0)
        for name in (one.name for one in job.method.modifiers if one.name != "average"):
            gradient = 0.9 * gradient if name == "replay" else gradient - 0.1 * self.policy.weight
        return gradient

    def _step(self, gradient: float, rate: float, job: UpdateJob) -> None:
        """Up the gradient, and down that of the penalty: its weight times the derivative of the KL."""
        before = self.policy.weight
        self.policy.weight += rate * gradient
        if job.controller is not None:
            job.controller.steer(before * before)
            self.policy.weight -= rate * job.controller.weight * 2 * before

    @property
    def sizes(self) -> Sizes:
        return Sizes(8, 8, 0, 0, 8, 8, has_base=True)

    def largest_logits(self) -> AbstractContextManager[Largest]:
        return nullcontext(Largest())

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        for step in range(1, config.max_steps + 1):
            self.steps_done += 1
            self.policy.weight -= learning_rate * 2 * self.policy.weight
            if watch(Progress(step, config.max_steps, loss=self.policy.weight * self.policy.weight)):
                return step
        return config.max_steps

    def _save(self, checkpoint: Path, step: int, job: UpdateJob) -> None:
        job.saving()
        partial = checkpoint.with_suffix(".partial")
        penalty = None if job.controller is None else job.controller.weight
        partial.write_text(json.dumps([step, self.policy.weight, penalty]))
        partial.replace(checkpoint)

    @property
    def trained(self) -> dict[str, Tensor]:
        return {"weight": self.policy.tensor}

    def become_base(self) -> None:
        self.policy.weight = 0.0


stack_trainer = None


def make_world(curriculum: Curriculum) -> ScalarWorld:
    return ScalarWorld()


def check(method: Method, settings: MethodSettings, task: Task, earlier: Sequence[Task]) -> None:
    """Nothing is refused."""


def count_steps(method: Method, settings: Common, items: int) -> int:
    return settings.max_steps or 10


def import_method(method: Method) -> None:
    """Nothing to import."""
