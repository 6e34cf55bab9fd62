"""The trainer of objectives that need each row's item, and their demonstrations."""

from collections.abc import Callable
from typing import Any

import torch

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.methods.rl import RlTrainer
from perdure.agent.worlds.language.trl.rows import check_end
from perdure.budget import ranks
from perdure.curriculum.task import Task


class RowTrainer(RlTrainer):
    """`rl` whose batches hold each row's training item (`item`) and reward (`rewards`).

    TRL shuffles the rows of a batch and splits them into steps, and with them every tensor whose first dimension is the
    rows. Before that the `num_generations` rows of a prompt are consecutive, in one process.
    """

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        by_function_BF = super()._calculate_rewards(*args, **kwargs)
        rows = len(by_function_BF) // ranks.count()  # TRL gathers the rewards of all processes, in their order
        own = slice(ranks.rank() * rows, (ranks.rank() + 1) * rows)
        self._rewards_B = by_function_BF[own, 0]  # there is one function; NaN where it gave nothing
        return by_function_BF

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output["item"] = torch.tensor([row["item"] for row in inputs], device=self._rewards_B.device)
        output["rewards"] = self._rewards_B
        return output

    def window_factor(self) -> float:
        """The factor that turns a sum over a step's rows into one over all rows sampled together."""
        return float(self.args.steps_per_generation / self.current_gradient_accumulation_steps)


def attach_demonstrations(job: UpdateJob) -> Callable[[Any, Task], None]:
    """A function that sets a trainer's settings and the task's demonstrations as tokens (see `rl.train`).

    The function that it returns raises ModelError where the chat template does not end the answer.
    """
    policy = job.policy

    def configure(trainer: Any, task: Task) -> None:
        check_end(policy.model, policy.tokenizer, task.train[0])
        trainer.settings = job.settings.objective
        trainer.demonstrations = [encode_demonstration(policy.tokenizer, item) for item in task.train]

    return configure
