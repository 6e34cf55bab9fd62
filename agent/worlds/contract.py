"""What a world gives to the loop: a policy, a way to measure it against the base, and a way to update it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.budget.config import RecoverConfig
from perdure.budget.monitor import Measurement
from perdure.curriculum.policy import Policy
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Method


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
        """Train the policy in place; `folder` keeps the checkpoints from which a killed update goes on."""
        ...

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """Distil from the original base on generic prompts, in place, until `watch` says so or the steps are used up.

        The loss is KL(π0 ‖ π), exact over the vocabulary, on texts of the base. Returns the steps that were made. It is
        repeatable at a seed and keeps no checkpoints.
        """
        ...

    def interpolate(self, start: Path, end: Path, share: float) -> None:
        """Take the weights at `share` of the straight line between two snapshots: exactly `start` at 0, `end` at 1.

        With LoRA the line is the adapter's. Raises nothing where weights are not finite; neither are the results then.
        """
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
