"""Per prompt either imitation or RL: the gate of HPT (Lv et al., arXiv 2509.04419), on top of `rl`.

A prompt none of whose `num_generations` samples reaches `success_reward` is learned from its demonstration, every other
prompt from its samples. With F of the P prompts of a batch unsolved:

    L = L_GRPO(samples of solved prompts) + sft_weight · F/P · L_SFT(demonstrations of unsolved prompts)

L_SFT is the mean negative log-likelihood over those demonstrations' tokens, as in `sft`; L_GRPO is that of `rl` with
the advantages of unsolved prompts at 0, a mean over the tokens of all samples (TRL's `dapo`, so that both terms are
means by token; see `trl/config.py`). Where all are unsolved it is `sft`, where none is it is `rl`.

Departures from the paper: its gate compares a prompt's share of right samples with a threshold, which here is always 0;
its reward is 1 or 0, where a graded one needs `success_reward`; the RL term is that of `rl.py`. With `beta` above 0 the
KL term covers all samples. A prompt for none of whose samples the reward is defined counts as unsolved.

Memory: that of `rl`, and beside the samples of a batch at most as many demonstrations.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.methods.chord import Demonstration, answer_logps, pad_right
from perdure.agent.worlds.language.methods.losses import imitation_loss, unsolved
from perdure.agent.worlds.language.methods.rl import train
from perdure.agent.worlds.language.trl.row_trainer import RowTrainer, attach_demonstrations
from perdure.agent.worlds.language.trl.rows import EQUAL_REWARDS, IdleGroups
from perdure.budget import ranks
from perdure.curriculum.worlds.language.settings import LanguageGate

NO_ITEM = -1
"""In place of an item's number: this row adds no demonstration."""


class GateTrainer(RowTrainer):
    """`rl` with the advantages of unsolved prompts at 0, and their demonstrations in a term of its own."""

    settings: LanguageGate
    demonstrations: Sequence[Demonstration]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        unsolved_P = unsolved(output["rewards"].view(-1, self.num_generations), self.settings.success_reward)
        unsolved_B = unsolved_P.repeat_interleave(self.num_generations)
        output["advantages"] = output["advantages"].masked_fill(unsolved_B, 0.0)
        # The first row of an unsolved prompt has its demonstration, so that it is learned once, wherever rows go.
        first_B = torch.arange(len(inputs), device=unsolved_B.device) % self.num_generations == 0
        output["imitated"] = output["item"].masked_fill(~(unsolved_B & first_B), NO_ITEM)
        tokens = sum(len(ids) - start for ids, start in self._chosen(output["imitated"]))
        found = ranks.totals({"unsolved": int(unsolved_P.sum()), "prompts": len(unsolved_P), "tokens": tokens})
        share = torch.tensor(float(found["unsolved"]), device=unsolved_B.device) / found["prompts"]
        # Gradients are averaged over the processes, and this term is a sum over them.
        output["imitation_scale"] = share / max(found["tokens"], 1) * ranks.count()
        return output

    def _chosen(self, imitated_B: Tensor) -> list[Demonstration]:
        return [self.demonstrations[number] for number in imitated_B.tolist() if number != NO_ITEM]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)
        chosen = self._chosen(inputs["imitated"])
        if not chosen:
            return loss
        scale = self.settings.sft_weight * self.window_factor() * inputs["imitation_scale"]
        loss += scale * self.imitation(model, chosen)
        return loss

    def imitation(self, model: Any, chosen: Sequence[Demonstration]) -> Tensor:
        """The negative log-likelihood of demonstrations, summed over their tokens; a scalar."""
        ids_BT, labels_BT, mask_BT = (
            tensor.to(self.accelerator.device) for tensor in pad_right(chosen, self._tokenizer.pad_token_id)
        )
        with self.accelerator.autocast():
            logps_BT = answer_logps(model, ids_BT, labels_BT, mask_BT, fused=self.temperature == 1.0)
        return imitation_loss(logps_BT, labels_BT[:, 1:] != -100, tokens=1, phi=False)


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place on the demonstrations of unsolved prompts, and by RL on the others.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.

    Raises:
        ConfigError: TRL refuses the settings, or the task has no reward.
        DataError: demonstrations are missing, or fewer training items than one batch of prompts.
        ModelError: the chat template does not end the answer, or `beta` above 0 and no original base to be found.
        DiskFullError: no room for a checkpoint.
    """
    success: float = job.settings.objective.success_reward  # type: ignore[attr-defined]
    # an unsolved prompt is learned from its demonstration
    idle = IdleGroups("equal_rewards", lambda rewards: max(rewards) >= success and EQUAL_REWARDS.holds(rewards))
    return train(job, GateTrainer, attach_demonstrations(job), idle)
