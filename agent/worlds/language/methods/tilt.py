"""tilt: fit the KL-minimal correct policy q* ∝ π0·R by fresh samples that the reward verifies, with no oracle.

In every pass, each prompt is answered `num_generations` times; q* weighs the answers by w ∝ R·π0/π, made to sum to 1 a
prompt (self-normalised importance sampling, ratios of whole answers), and the loss is cross-entropy to them:

    L = -1/P Σ_prompts Σ_i w_i ln π(y_i | x) / max_completion_length

A prompt without a success gives no term. A reward of 0 or 1 verifies; a graded one counts in proportion, as q* has it,
and one below 0 as 0. The constant divisor is that of `rl` (Dr. GRPO), whose step this is with G·w in place of the
advantages: a learning rate and a clipping norm mean the same for both. There is no ratio to clip, and samples that are
used for several steps (`steps_per_generation`, `num_iterations`) stay right, since q* does not depend on the policy.

With `samples_from: base` the base answers, again in every pass; its right answers are distributed as q* already, so
that their weights are equal. It finds only what the base finds, but its weights never degenerate.

Why q*: docs/theory.md. The same method for a classifier: vision/methods/tilt.py. Departures from that one: there an
image is answered once at the start of a pass, here a prompt when its batch comes, so that the samples are fresher. The
weights are right at sampling temperature 1 without truncation alone, so other values are refused; and with long answers
π0/π spreads over orders of magnitude, so that one sample may have all the weight of its prompt.

Memory: with a LoRA adapter that of `rl`, the base being the model with its adapter off; else a second copy of the model
(2 bytes a weight in bfloat16, 4 in float32), loaded and checked as `rl` says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.methods.losses import weighted_cross_entropy
from perdure.agent.worlds.language.methods.rl import train
from perdure.agent.worlds.language.trl.row_trainer import RowTrainer
from perdure.agent.worlds.language.trl.rows import NO_SUCCESS
from perdure.agent.worlds.losses import tilt_weights
from perdure.curriculum.task import Task


class TiltTrainer(RowTrainer):
    """The sampling of `rl`, with weights towards q* in place of advantages."""

    model: Any
    model_wrapped: Any
    from_base: bool = False

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        if not self.from_base:
            return super()._generate_single_turn(*args, **kwargs)
        with self._as_base():
            return super()._generate_single_turn(*args, **kwargs)

    @contextmanager
    def _as_base(self) -> Iterator[None]:
        """The base in the policy's place."""
        if self.ref_model is None:
            with self.model.disable_adapter():
                yield
            return
        policy, wrapped = self.model, self.model_wrapped
        self.model = self.model_wrapped = self.ref_model
        try:
            yield
        finally:
            self.model, self.model_wrapped = policy, wrapped

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        groups = (-1, self.num_generations)
        log_ratios_PG = self._log_ratios(output).view(groups)
        output["weights"] = tilt_weights(log_ratios_PG, output["rewards"].view(groups)).flatten()
        return output

    @torch.no_grad()
    def _log_ratios(self, output: dict[str, Any]) -> Tensor:
        """ln π0(y|x)/π(y|x) of every answer by the policy that gave it, which is the base with `samples_from: base`."""
        base_BT = output.pop("ref_per_token_logps", None)
        if self.from_base:
            return torch.zeros_like(output["rewards"])
        ratios_BT: Tensor = (base_BT - self._scored(self.model, output)[0]) * output["completion_mask"]
        return ratios_BT.sum(-1)

    def _scored(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """The log-probabilities of the answers' tokens by `model`, and its entropy at each of them: [B, T] both."""
        ids_BT = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask_BT = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        batch_size = self.args.per_device_train_batch_size
        logps_BT, entropies_BT, _ = self._get_per_token_logps_and_entropies(
            model, ids_BT, mask_BT, inputs["completion_ids"].size(1), batch_size=batch_size, compute_entropy=True
        )
        return logps_BT, entropies_BT

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        weights_B, mask_BT = inputs["weights"], inputs["completion_mask"]
        logps_BT, entropies_BT = self._scored(model, inputs)
        loss = weighted_cross_entropy(logps_BT, mask_BT, weights_B)
        mean = (entropies_BT.detach() * mask_BT).sum() / mask_BT.sum().clamp(min=1)
        self._metrics["train"]["entropy"].append(mean.item())
        prompts = len(weights_B) / self.num_generations
        divisor: float = prompts * self.max_completion_length * self.current_gradient_accumulation_steps
        return loss / divisor


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place towards q* ∝ π0·R.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.
    `Progress.reward` is the mean over the completions sampled last, the base's with `samples_from: base`.

    Raises:
        ConfigError: TRL refuses the settings, or they make the weights wrong, or the task has no reward.
        DataError: fewer training items than one batch of prompts.
        ModelError: no original base to be found.
        DiskFullError: no room for a checkpoint.
    """

    def configure(trainer: TiltTrainer, task: Task) -> None:
        trainer.from_base = job.settings.objective.samples_from == "base"  # type: ignore[attr-defined]
        if trainer.from_base:
            trainer.beta = 0.0  # TRL holds the base now; its log-probabilities are not needed

    return train(job, TiltTrainer, configure, NO_SUCCESS)
