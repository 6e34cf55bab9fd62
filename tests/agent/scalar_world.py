"""The smallest world there is: a policy of one number. Its KL to the base is the number's square, in nats a token."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from perdure.agent.methods.contract import Outcome, Progress, SaveAndStop, Watch
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import Common, Method


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
    """An update adds `learning_rate` a step, and writes a checkpoint every `save_steps`."""

    kind = "scalar"
    base_id = "zero"

    def __init__(self, on_step: Callable[[int], float | None] = lambda step: None) -> None:
        self.policy = ScalarPolicy()
        self.on_step = on_step
        self.steps_done = 0

    @property
    def resolved(self) -> dict[str, str]:
        return {}

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        folder.mkdir(exist_ok=True)

    def measure(self, names: Sequence[str]) -> Measurement:
        kl = self.policy.weight * self.policy.weight
        groups = tuple(Group((kl, kl), (1, 1)) for _ in names)
        return Measurement(groups, groups, groups, groups)

    def update(self, method: Method, task: Task, settings: Common, *, seed: int, folder: Path, watch: Watch) -> Outcome:
        checkpoint = folder / "checkpoints" / "last.json"
        checkpoint.parent.mkdir(exist_ok=True)
        start = 0
        if checkpoint.exists():
            start, self.policy.weight = json.loads(checkpoint.read_text())
        most = settings.max_steps or 10
        for step in range(start + 1, most + 1):
            self.steps_done += 1
            self.policy.weight += settings.learning_rate or 0.1
            loss = self.on_step(step)
            try:
                if watch(Progress(step, most, loss=0.5 if loss is None else loss)):
                    return Outcome(step, "stopped")
            except SaveAndStop:
                self._save(checkpoint, step)
                raise
            if step % (settings.save_steps or 5) == 0 or step == most:
                self._save(checkpoint, step)
        return Outcome(most, "completed")

    def _save(self, checkpoint: Path, step: int) -> None:
        partial = checkpoint.with_suffix(".partial")
        partial.write_text(json.dumps([step, self.policy.weight]))
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


def scalar_task(name: str, answer: str) -> Task:
    items = tuple(Item(f"{name} {number}", answer=answer, demonstration=answer) for number in range(4))
    return Task(name, items[:2], items[2:], near)
