"""What the methods share that sample and look at single answers: rows that know their item, and demonstrations."""

from collections.abc import Callable
from typing import Any

import torch

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.methods.rl import RlTrainer
from perdure.agent.worlds.language.trl.rows import check_end, encode_demonstration
from perdure.curriculum.task import Task


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


def attach_demonstrations(job: UpdateJob) -> Callable[[Any, Task], None]:
    """What gives a trainer its settings and the task's demonstrations as tokens (see `rl.train`).

    The function that it returns raises ModelError where the chat template does not end the answer.
    """
    policy = job.policy

    def configure(trainer: Any, task: Task) -> None:
        check_end(policy.model, policy.tokenizer, task.train[0])
        trainer.settings = job.settings.objective
        trainer.demonstrations = [encode_demonstration(policy.tokenizer, item) for item in task.train]

    return configure
