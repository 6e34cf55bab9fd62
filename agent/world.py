"""What a world gives to the loop: a policy, a way to measure it against the base, and a way to update it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from perdure.agent.methods.contract import Outcome, Watch
from perdure.budget.monitor import Measurement
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import Task
from perdure.curriculum.train import Common, Method


class World(Protocol):
    """One kind of policy and of tasks."""

    @property
    def policy(self) -> Policy: ...

    @property
    def kind(self) -> str:
        """`language` or `vision`."""
        ...

    @property
    def base_id(self) -> str:
        """What makes results comparable: runs whose bases have the same identity may be pooled for the law."""
        ...

    @property
    def resolved(self) -> Mapping[str, str]:
        """What was chosen by itself and decides the last bits of a result, such as the device and the threads."""
        ...

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """Compute the base's side of the KL into `folder`, or read it from there. The policy is the base now."""
        ...

    def measure(self, names: Sequence[str]) -> Measurement:
        """Divergences between the base and the policy as it is now."""
        ...

    def update(self, method: Method, task: Task, settings: Common, *, seed: int, folder: Path, watch: Watch) -> Outcome:
        """Train the policy in place; `folder` keeps the checkpoints from which a killed update goes on."""
        ...

    def snapshot(self, path: Path) -> None:
        """Write the trained part of the policy to a file."""
        ...

    def restore_snapshot(self, path: Path) -> None:
        """Take back what `snapshot` wrote."""
        ...

    def become_base(self) -> None:
        """Make the policy the original base again."""
        ...
