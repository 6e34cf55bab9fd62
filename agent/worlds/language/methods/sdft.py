"""SDFT: the policy, given the demonstration, teaches itself, on its own samples (Shenfeld et al., 2601.19897).

The student answers the prompt as it is. The teacher is the same model, given the demonstration beside the prompt
(`teacher_template`); its weights are an exponential moving average of the student's (`teacher_decay`), which begins
with the policy at the start of the stage and is part of every checkpoint. On the student's answers y:

    L = mean over tokens t of Σ_v p_v (ln p_v - ln q_v),    p = student(· | x, y_<t),    q = teacher(· | x, d, y_<t)

the reverse KL, exact over the vocabulary at temperature 1, its gradient by the student's distributions alone (not
through the sampling). The mean is over the tokens that are sampled together. No reward is used.

Departures from the paper: two answers a prompt and step, the fewest that TRL's sampler draws (`trl: {num_generations:
…}` for more); there is one teacher template for text and messages (in the last message), not one for each data set; the
loss has every token of the answer; the average is kept in float32, since in bfloat16 a hundredth of a step would
vanish.

Memory: beside that of `rl`, 4 bytes for every weight that is trained (with a LoRA adapter those of the adapter alone;
in a bfloat16 model 2 more while the teacher runs), and the logits of a batch's answers twice, [B, T, V].
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint as recomputed
from transformers import TrainerCallback

from perdure.agent.weights import trainable
from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.generation import pad_left
from perdure.agent.worlds.language.methods.losses import reverse_kl
from perdure.agent.worlds.language.methods.rl import train
from perdure.agent.worlds.language.trl.row_trainer import RowTrainer
from perdure.budget import ranks
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.settings import Sdft
from perdure.eval.shared_prefix import continued, prefilled, unshared
from perdure.eval.unwrapped import unwrapped


class SdftTrainer(RowTrainer):
    """The sampling of `rl`, with the divergence from a teacher as the loss."""

    teacher_prompts: Sequence[list[int]]
    teacher: dict[str, Tensor]

    def own_state(self) -> dict[str, Tensor]:
        """The state that a checkpoint keeps beside the optimiser's: the teacher's weights."""
        return self.teacher

    def take_own_state(self, state: dict[str, Tensor]) -> None:
        """The inverse of `own_state`."""
        for name, tensor in state.items():
            self.teacher[name].copy_(tensor)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids_BT, mask_BT = inputs["completion_ids"], inputs["completion_mask"]
        teacher_BTV = self._taught(self.model, inputs)
        with self.accelerator.autocast():
            prompts = (inputs["prompt_ids"], inputs["prompt_mask"])
            student_BTV = answer_logits(model, *prompts, ids_BT, mask_BT, shared_by=self._shared_by(self.model))
        rows = zip(student_BTV, teacher_BTV, mask_BT, strict=True)
        # Row by row, and again in the backward pass: the softmax of a whole batch would be several times its logits.
        total = torch.stack([recomputed(reverse_kl, *row, use_reentrant=False) for row in rows]).sum()
        loss: Tensor = total * self.window_factor() / inputs["num_items_in_batch"].clamp(min=1.0)
        return loss * ranks.count()  # the items are those of all processes, over which gradients are averaged

    @torch.no_grad()
    def _taught(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """The teacher's logits for the student's answers: [B, T, V]."""
        prompts = [self.teacher_prompts[number] for number in inputs["item"].tolist()]
        prompt_BT, prompt_mask_BT = (
            tensor.to(self.accelerator.device) for tensor in pad_left(prompts, self._tokenizer.pad_token_id)
        )
        weights = {name: self.teacher[name].to(tensor.dtype) for name, tensor in trainable(model).items()}
        arguments = (prompt_BT, prompt_mask_BT, inputs["completion_ids"], inputs["completion_mask"])
        model.eval()
        try:
            with self.accelerator.autocast():
                shared_by = self._shared_by(model)
                return answer_logits(partial(_with_weights, model, weights), *arguments, shared_by=shared_by)
        finally:
            model.train()

    def _shared_by(self, model: Any) -> Any:
        can = self.prefix_caching and unshared(model) is None
        return unwrapped(model).config if can else None


def _with_weights(model: Any, weights: dict[str, Tensor], **inputs: Any) -> Any:
    return functional_call(model, weights, kwargs=inputs)


class TeacherUpdate(TrainerCallback):  # type: ignore[misc]
    """Updates the teacher's moving average after every optimiser step."""

    def __init__(self, trainer: SdftTrainer, decay: float) -> None:
        self.trainer, self.decay = trainer, decay

    @torch.no_grad()
    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called before a checkpoint of the step is written."""
        for name, tensor in trainable(self.trainer.model).items():
            average = self.trainer.teacher[name]
            average.lerp_(tensor.to(average.dtype), 1 - self.decay)
        return control


def answer_logits(
    call: Callable[..., Any],
    prompt_BT: Tensor,
    prompt_mask_BT: Tensor,
    ids_BT: Tensor,
    mask_BT: Tensor,
    *,
    shared_by: Any = None,
) -> Tensor:
    """The logits from which the tokens of right-padded answers to left-padded prompts are drawn: [B, T, V].

    `call` is the model, or stands for it; equal prompts are computed once where a model's config is given, `shared_by`.
    """
    mask_BX = torch.cat([prompt_mask_BT, mask_BT], dim=1)
    cache = None if shared_by is None else prefilled(call, shared_by, prompt_BT, prompt_mask_BT)
    if cache is not None:
        inputs = continued(cache, prompt_BT, ids_BT, mask_BX)
    else:
        ids_BX = torch.cat([prompt_BT, ids_BT], dim=1)
        inputs = {"input_ids": ids_BX, "attention_mask": mask_BX, "use_cache": False}
    logits_BTV: Tensor = call(**inputs, logits_to_keep=ids_BT.size(1) + 1).logits
    return logits_BTV[:, -ids_BT.size(1) - 1 : -1]


def teacher_prompt(template: str, item: Item) -> Any:
    """The teacher's prompt: the item's, or its last message, put into `template` with the demonstration."""
    prompt = item.prompt

    def filled(text: str) -> str:
        parts = {"{prompt}": text, "{demonstration}": item.demonstration or ""}
        return re.sub(r"\{prompt\}|\{demonstration\}", lambda match: parts[match[0]], template)

    if isinstance(prompt, str):
        return filled(prompt)
    return [*prompt[:-1], {**prompt[-1], "content": filled(prompt[-1]["content"])}]


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place to answer as it does when given the demonstration.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.
    `Progress.reward` is that of the samples where the task has a reward; the method itself does not use it.

    Raises:
        ConfigError: TRL refuses the settings.
        DataError: demonstrations are missing, or fewer training items than one batch of prompts.
        DiskFullError: no room for a checkpoint.
    """
    policy, settings = job.policy, job.settings.objective
    assert isinstance(settings, Sdft)

    def configure(trainer: SdftTrainer, task: Task) -> None:
        trainer.teacher_prompts = [
            encode_prompt(policy.tokenizer, teacher_prompt(settings.teacher_template, item)) for item in task.train
        ]
        trainer.teacher = {name: tensor.float().clone() for name, tensor in trainable(policy.model).items()}
        trainer.add_callback(TeacherUpdate(trainer, settings.teacher_decay))

    return train(job, SdftTrainer, configure)
