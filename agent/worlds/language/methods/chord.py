"""SFT and RL terms in one loss: CHORD (Zhang et al., arXiv 2508.11408), on top of `rl`.

    L = (1 - mu) L_GRPO + mu L_SFT

Each term is a mean over its own tokens: L_GRPO over the step's completion tokens (TRL's `dapo`; see `trl/config.py` for
how that relates to `dr_grpo`), L_SFT over the tokens of the step's demonstrations, each weighed by p (1 - p). mu falls
by a half cosine over the stage, so that a policy first imitates and then explores.

Departures from the paper: it uses either the falling mu (CHORD-mu) or the token weight with a constant mu (CHORD-phi);
here both are on by default, and `phi: false` or `mu_start` = `mu_end` give one of them. Advantages are not divided by
their group's deviation. The SFT term of a step is spread over its micro-batches, so accumulation changes nothing.

Memory: that of `rl`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.methods.losses import chord_loss, demonstration_indices, imitation_loss
from perdure.agent.worlds.language.methods.rl import RlTrainer, train
from perdure.agent.worlds.language.trl.row_trainer import attach_demonstrations
from perdure.agent.worlds.losses import mu
from perdure.budget import ranks
from perdure.curriculum.worlds.language.settings import LanguageChord

Demonstration = tuple[list[int], int]
"""The tokens of prompt and answer, and how many of them are the prompt's."""


class ChordTrainer(RlTrainer):
    """`rl` with the SFT term added to the loss."""

    settings: LanguageChord
    demonstrations: Sequence[Demonstration]
    _micro: tuple[int, int] = (-1, 0)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        grpo: Tensor = super()._compute_loss(model, inputs)
        weight = self.weight(self.state.global_step)
        if weight == 0:
            return grpo
        return chord_loss(grpo, self.imitation(model, self._next_share()), weight)

    def weight(self, step: int) -> float:
        """mu at `step`."""
        decay_steps = self.settings.mu_decay_steps or self.state.max_steps
        return mu(step, start=self.settings.mu_start, end=self.settings.mu_end, decay_steps=decay_steps)

    def _next_share(self) -> tuple[list[Demonstration], int]:
        """The step's demonstrations that are this micro-batch's, in this process, and the answer tokens of all."""
        step = self.state.global_step
        done = self._micro[1] if self._micro[0] == step else 0
        self._micro = (step, done + 1)
        indices = demonstration_indices(
            step, batch_size=self.settings.sft_batch_size, total=len(self.demonstrations), seed=self.args.seed
        )
        chosen = [self.demonstrations[index] for index in indices]
        tokens = sum(len(ids) - start for ids, start in chosen)
        shares, first = ranks.count() * self.current_gradient_accumulation_steps, done * ranks.count() + ranks.rank()
        return chosen[first::shares], tokens

    def imitation(self, model: Any, share: tuple[list[Demonstration], int]) -> Tensor:
        """The SFT term of these demonstrations, divided by the answer tokens of the whole step; a scalar.

        Times the number of processes, over which gradients are averaged.
        """
        chosen, tokens = share
        if not chosen:
            return torch.zeros((), device=self.accelerator.device)
        ids_BT, labels_BT, mask_BT = (
            tensor.to(self.accelerator.device) for tensor in pad_right(chosen, self._tokenizer.pad_token_id)
        )
        with self.accelerator.autocast():
            logps_BT = answer_logps(model, ids_BT, labels_BT, mask_BT, fused=self.temperature == 1.0)
        mask_BT = labels_BT[:, 1:] != -100
        return imitation_loss(logps_BT, mask_BT, tokens=tokens, phi=self.settings.phi) * ranks.count()


def pad_right(chosen: Sequence[Demonstration], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, labels (-100 on prompts and padding) and attention mask, each [B, T]."""
    width = max(len(ids) for ids, _ in chosen)
    ids_BT = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in chosen])
    mask_BT = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in chosen])
    positions_T = torch.arange(width)
    starts_B1 = torch.tensor([[start] for _, start in chosen])
    labels_BT = ids_BT.masked_fill((positions_T < starts_B1) | (mask_BT == 0), -100)
    return ids_BT, labels_BT, mask_BT


def answer_logps(model: Any, ids_BT: Tensor, labels_BT: Tensor, mask_BT: Tensor, *, fused: bool) -> Tensor:
    """The log-probability of each next token at temperature 1, [B, T - 1]; 0 where the label is -100.

    `fused` uses the head that TRL put on the model, which never holds all logits at once but divides them by the
    sampling temperature; it is for temperature 1 alone.
    """
    if fused:
        fused_output = model(input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT, fused_lm_head=True)
        return fused_output.log_probs  # type: ignore[no-any-return]
    logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits[:, :-1].float()
    targets_BT = labels_BT[:, 1:]
    chosen_BT: Tensor = logits_BTV.gather(-1, targets_BT.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    logps_BT: Tensor = chosen_BT - logits_BTV.logsumexp(-1)
    return logps_BT.masked_fill(targets_BT == -100, 0.0)


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place on the task's demonstrations and on the reward for its own samples.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.

    Raises:
        ConfigError: TRL refuses the settings, or the task has no reward.
        DataError: demonstrations are missing, or fewer training items than one batch of prompts.
        ModelError: the chat template does not end the answer, or `beta` above 0 and no original base to be found.
        DiskFullError: no room for a checkpoint.
    """
    return train(job, ChordTrainer, attach_demonstrations(job))
