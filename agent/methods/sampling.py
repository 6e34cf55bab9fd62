"""What the methods that sample from the policy share: batches whose rows know their item and reward, and one update."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from perdure.agent.methods.config import build_config, save_steps
from perdure.agent.methods.contract import Beside, Outcome, Watch
from perdure.agent.methods.data import RewardMeter, check_task
from perdure.agent.methods.rl import RlTrainer, build_sampler
from perdure.agent.methods.terms import terms_beside
from perdure.agent.methods.trainer import run
from perdure.curriculum.methods import Method
from perdure.curriculum.sections import TrlCommon
from perdure.curriculum.task import Item, Task


class RowTrainer(RlTrainer):
    """`rl` whose batches say of each row which training item it answers (`item`) and what it was given (`rewards`).

    TRL shuffles the rows of a batch and deals them out to steps; whatever has the rows as its first dimension goes
    with them. Until then the `num_generations` rows of a prompt stand one after another.
    """

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        by_function_BF = super()._calculate_rewards(*args, **kwargs)
        self._rewards_B = by_function_BF[:, 0]  # there is one; NaN where it gave nothing
        return by_function_BF

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output["item"] = torch.tensor([row["item"] for row in inputs], device=self._rewards_B.device)
        output["rewards"] = self._rewards_B
        return output

    def of_whole_window(self) -> float:
        """What a sum over a step's rows has to be multiplied by so that it is one over all rows sampled together."""
        return float(self.args.steps_per_generation / self.current_gradient_accumulation_steps)


def train(
    method: Method,
    trainer_class: type[RlTrainer],
    policy: Any,
    task: Task,
    settings: TrlCommon,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside,
    equip: Callable[[Any], None] = lambda trainer: None,
) -> Outcome:
    """Train `policy.model` in place with a trainer of `trainer_class`, to which `equip` gives what it needs further.

    A task without a reward is given one of 0; then no mean of it is reported.

    Raises:
        ConfigError: TRL refuses the settings, or the method needs a reward and the task has none.
        DataError: demonstrations are missing, or fewer training items than one batch of prompts.
        ModelError: the original base is needed a second time and not to be found.
        DiskFullError: no room for a checkpoint.
    """
    model = policy.model
    config = build_config(method, settings, folder=folder, seed=seed, device_type=model.device.type, dtype=model.dtype)
    check_task(method, task, config)
    meter = RewardMeter(task.reward or nothing, task.train)

    def build() -> RlTrainer:
        trainer: RlTrainer = build_sampler(trainer_class, policy, task, config, meter)
        equip(trainer)
        return trainer

    return run(
        build,
        policy,
        folder=folder,
        watch=watch,
        save_steps=save_steps(settings),
        mean_reward=meter.mean if task.reward else None,
        terms=terms_beside(policy, beside, seed=seed),
    )


def nothing(
    items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
) -> list[float | None]:
    """The reward of a task that has none."""
    return [0.0] * len(items)
