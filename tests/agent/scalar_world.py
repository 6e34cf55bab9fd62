"""The smallest world there is: a policy of one number. Its KL to the base is the number's square, in nats a token."""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import ALONE, Beside, Outcome, Progress, SaveAndStop, Watch
from perdure.budget.config import RecoverConfig
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.contract import Method


class ScalarPolicy:
    """Answers every prompt with its number, rounded."""

    def __init__(self) -> None:
        self.weight = 0.0

    def respond(self, prompts: Sequence[Any], *, num_samples: int = 1, **_: Any) -> list[list[str]]:
        return [[f"{self.weight:.1f}"] * num_samples for _ in prompts]

    def fingerprint(self) -> str:
        return sha256(struct.pack("<d", self.weight)).hexdigest()

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weight").write_bytes(struct.pack("<d", self.weight))

    def restore(self, folder: Path) -> None:
        (self.weight,) = struct.unpack("<d", (folder / "weight").read_bytes())


class ScalarWorld:
    """An update adds `learning_rate` a step, and writes a checkpoint every `save_steps`.

    `rl` goes half as far, `chord` back and forth. `noise` is how far the KLs of a task's three texts lie apart, as a
    share of their mean, which then differs by task. `wobble` is how much the KL goes up and down along a line.
    """

    kind = "scalar"
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

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        folder.mkdir(exist_ok=True)

    def measure(self, names: Sequence[str]) -> Measurement:
        self.measured += 1
        groups = tuple(self._group(name) for name in names)
        return Measurement(groups, groups, groups, groups)

    def _group(self, name: str) -> Group:
        weight = self.policy.weight
        kl = weight * weight
        if self.wobble and math.isfinite(kl):
            kl *= 1 + self.wobble * math.sin(9 * weight)
        factors = [1 + self.noise * (derive(text, name) / 2**30 - 1) for text in range(3)]
        return Group(tuple(kl * factor for factor in factors), (1, 1, 1))

    def update(
        self,
        method: Method,
        task: Task,
        settings: Common,
        *,
        seed: int,
        folder: Path,
        watch: Watch,
        beside: Beside = ALONE,
    ) -> Outcome:
        checkpoint = folder / "checkpoints" / "last.json"
        checkpoint.parent.mkdir(exist_ok=True)
        start = 0
        if checkpoint.exists():
            start, self.policy.weight, penalty = json.loads(checkpoint.read_text())
            if beside.controller is not None:
                beside.controller.weight = penalty
        most = settings.max_steps or 10
        rate = settings.learning_rate or 0.1
        for step in range(start + 1, most + 1):
            self.steps_done += 1
            self._step({"rl": 0.5, "chord": -1.5 if step % 3 == 0 else 1.0}.get(method, 1.0), rate, beside)
            loss = self.on_step(step)
            try:
                if watch(Progress(step, most, loss=0.5 if loss is None else loss)):
                    return Outcome(step, "stopped")
            except SaveAndStop:
                self._save(checkpoint, step, beside)
                raise
            if step % (getattr(settings, "save_steps", None) or 5) == 0 or step == most:
                self._save(checkpoint, step, beside)
        return Outcome(most, "completed")

    def _step(self, gradient: float, rate: float, beside: Beside) -> None:
        """Up the gradient, and down that of the penalty: its weight times the derivative of the KL."""
        before = self.policy.weight
        self.policy.weight += rate * gradient
        if beside.controller is not None:
            beside.controller.steer(before * before)
            self.policy.weight -= rate * beside.controller.weight * 2 * before

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        for step in range(1, config.max_steps + 1):
            self.steps_done += 1
            self.policy.weight -= learning_rate * 2 * self.policy.weight
            if watch(Progress(step, config.max_steps, loss=self.policy.weight * self.policy.weight)):
                return step
        return config.max_steps

    def interpolate(self, start: Path, end: Path, share: float) -> None:
        first, last = (struct.unpack("<d", path.read_bytes())[0] for path in (start, end))
        self.policy.weight = {0: first, 1: last}.get(share, first + share * (last - first))

    def _save(self, checkpoint: Path, step: int, beside: Beside) -> None:
        partial = checkpoint.with_suffix(".partial")
        penalty = None if beside.controller is None else beside.controller.weight
        partial.write_text(json.dumps([step, self.policy.weight, penalty]))
        partial.replace(checkpoint)

    def snapshot(self, path: Path) -> None:
        path.write_bytes(struct.pack("<d", self.policy.weight))

    def restore_snapshot(self, path: Path) -> None:
        (self.policy.weight,) = struct.unpack("<d", path.read_bytes())

    def become_base(self) -> None:
        self.policy.weight = 0.0


def near(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """1 where the answer is reached."""
    return [float(completion == item.answer) for item, completion in zip(items, completions, strict=True)]


def scalar_task(name: str, answer: str, train: int = 2) -> Task:
    """`train` items to learn from, and two held out."""
    items = tuple(Item(f"{name} {number}", answer=answer, demonstration=answer) for number in range(train + 2))
    return Task(name, items[:train], items[train:], near)
