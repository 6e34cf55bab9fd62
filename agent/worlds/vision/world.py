"""The vision world behind the loop's contract: every divergence is exact over the labels, on every prompt."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure.agent.weights import read_tensors, write_tensors
from perdure.agent.worlds.contract import Largest, Outcome, Progress, UpdateJob, Watch
from perdure.agent.worlds.devices import device_of
from perdure.agent.worlds.losses import confident_conflicts, entropy, entropy_weights
from perdure.agent.worlds.schedule import Plan, plan_for
from perdure.agent.worlds.sizes import sizes_of
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.generic_probe import generic_images
from perdure.agent.worlds.vision.mlp import matrices, member
from perdure.agent.worlds.vision.penalty import Distillation, KlPenalty
from perdure.agent.worlds.vision.policy import VisionPolicy
from perdure.agent.worlds.vision.pretrain import base_id, base_seed, known_inputs, pretrain
from perdure.agent.worlds.vision.task_tensors import Idle, TaskTensors
from perdure.agent.worlds.vision.tensor_cache import TensorCache
from perdure.agent.worlds.vision.training import StackStep, descend, log_probabilities, train
from perdure.budget.config import RecoverConfig
from perdure.budget.divergence import Divergences, divergences
from perdure.budget.errors import RunError
from perdure.budget.estimate import Estimate, Group, per_token
from perdure.budget.files import make_folder
from perdure.budget.monitor import Measurement
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.contract import ModelSection
from perdure.curriculum.worlds.methods import Sizes
from perdure.curriculum.worlds.vision.images.arrays import arrays_of
from perdure.curriculum.worlds.vision.model import MlpModel

SAME_BASE = 1e-3
"""Log-probabilities of one network on one image differ by less, whatever the threads."""


class VisionWorld:
    """A small classifier of images, pretrained at the curriculum's seed when the run begins.

    Nothing is sampled for the KL: a label is the whole response, so nats a token and nats a sequence are the same, and
    the standard error is that over images. An update takes seconds and keeps no checkpoints; one that was killed begins
    again and ends with the same weights.
    """

    kind = "vision"
    warnings = ()

    def __init__(self, model: ModelSection, seed: int) -> None:
        assert isinstance(model, MlpModel), "the schema gives the vision world its own model"
        self._device = choose_device(model.device)
        torch.set_num_threads(model.threads if isinstance(model.threads, int) else 1)
        self._base = {name: tensor.to(self._device) for name, tensor in pretrain(model, base_seed(model, seed)).items()}
        self.policy = VisionPolicy({name: tensor.clone() for name, tensor in self._base.items()}, self._device)
        self.base_id = base_id(model)
        self._cache = TensorCache(self._base)
        self._known_NF = known_inputs(model).to(self._device)
        self._texts: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def resolved(self) -> dict[str, str]:
        """See `World.resolved`."""
        threads = torch.get_num_threads() if self._device.type == "cpu" else 0
        return {"device": str(self._device), "threads": str(threads)}

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """See `World.fitted`. Items are pictures, and fit as they are."""
        return tuple(tasks)

    def refuse_unfit(self, *items: Any) -> None:
        """See `World.refuse_unfit`. Every item fits."""

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> Sequence[Any]:
        """See `World.neutral_prompts`: noise under each bit that the base knows."""
        return generic_images(count, curriculum.seed)

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """See `World.prepare_base`. The base's log-probabilities on the prompts are all there is to keep.

        Raises:
            RunError: what is there is of other images, as of a version that drew them otherwise.
        """
        inputs = {name: self.policy.inputs(some) for name, some in prompts.items()}
        file = folder / "log_probabilities.safetensors"
        if not file.exists():
            make_folder(folder)
            found = {str(index): self.policy.log_probabilities(some) for index, some in enumerate(inputs.values())}
            write_tensors(found, file)
        kept = read_tensors(file)
        self._texts = {
            name: (some, kept[str(index)].to(self._device)) for index, (name, some) in enumerate(inputs.items())
        }
        for name, (some, log_NC) in self._texts.items():
            again_NC = log_probabilities(self._base, some)[0]
            if log_NC.shape != again_NC.shape or not torch.allclose(log_NC, again_NC, atol=SAME_BASE):
                raise RunError(f"{file} is of other images than group {name!r} has now: start a new run")

    def measure(self, names: Sequence[str]) -> Measurement:
        """See `World.measure`."""
        found = [self._divergences(name) for name in names]
        return Measurement(
            kl_base_to_policy=tuple(_group(one.kl_base_to_policy_N) for one in found),
            kl_policy_to_base=tuple(_group(one.kl_policy_to_base_N) for one in found),
            total_variation=tuple(_group(one.total_variation_N) for one in found),
            l2_distributions=tuple(_group(one.l2_distributions_N) for one in found),
            jensen_shannon=tuple(_group(one.jensen_shannon_N) for one in found),
            hellinger=tuple(_group(one.hellinger_N) for one in found),
        )

    def _divergences(self, name: str) -> Divergences:
        inputs_NF, base_log_NC = self._texts[name]
        return divergences(base_log_NC, self.policy.log_probabilities(inputs_NF))

    def conflicts(self, items: Sequence[Item]) -> Estimate | None:
        """See `World.conflicts`. A writer with a choice counts by the chance of each label; an oracle is no writer."""
        arrays = arrays_of(items)
        if arrays.choices_NC is None:
            return None
        log_NC = self.policy.log_probabilities(torch.from_numpy(arrays.inputs_NF).to(self._device)).cpu()
        mask_NC = confident_conflicts(log_NC, entropy_weights(log_NC, top_k=log_NC.shape[-1]))
        return per_token([_group((torch.from_numpy(arrays.choices_NC) * mask_NC).sum(-1))])

    def kl_from_writer(self, items: Sequence[Item]) -> Sequence[float]:
        """See `World.kl_from_writer`. Exact over the labels; an oracle is no writer."""
        arrays = arrays_of(items)
        if arrays.choices_NC is None:
            return []
        log_NC = self.policy.log_probabilities(torch.from_numpy(arrays.inputs_NF).to(self._device)).cpu()
        choices_NC = torch.from_numpy(arrays.choices_NC)
        found: list[float] = (torch.xlogy(choices_NC, choices_NC) - choices_NC * log_NC).sum(-1).tolist()
        return found

    def update(self, job: UpdateJob) -> Outcome:
        """See `World.update`: a stack of one."""
        tensors = self._tensors(job)
        plan = plan_for(job.method, job.settings.objective, len(tensors.inputs_NF))
        penalty = self._penalty(job)
        stopped, idle = False, Idle()

        def after_step(step: StackStep) -> bool:
            nonlocal stopped
            if penalty is not None:
                penalty.steer()
            stopped = job.watch(_progress(step))
            return stopped

        terms = () if penalty is None else (penalty,)
        stack = self.policy.params
        steps = train(stack, tensors, job.method, job.settings, [plan], [job.seed], after_step, terms, idle)
        return Outcome(steps, "stopped" if stopped else "completed", idle.counts)

    def _tensors(self, job: UpdateJob) -> TaskTensors:
        """The tensors of a job; kept, since a probe and earlier stages are about the same tasks."""
        earlier = job.earlier if job.method.modifiers else ()
        all_tensors = [self._cache.of(one) for one in (job.task, *earlier)]
        return replace(all_tensors[0], known_NF=self._known_NF, earlier=tuple(all_tensors[1:]))

    @property
    def sizes(self) -> Sizes:
        """See `World.sizes`."""
        tensors = list(self.policy.params.values())
        return sizes_of(tensors, tensors, list(matrices(self.policy.params).values()), held=True, has_base=True)

    def largest_logits(self) -> AbstractContextManager[Largest]:
        """See `World.largest_logits`; those of ten labels count for nothing."""
        return nullcontext(Largest())

    def _penalty(self, job: UpdateJob) -> KlPenalty | None:
        if job.controller is None:
            return None
        return KlPenalty(job.controller, {name: self._texts[name] for name in job.texts}, job.seed)

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """See `World.recover`: AdamW on the images that the base was pretrained on, its own distribution the target."""
        base_log_1NC = log_probabilities(self._base, self._known_NF)
        tensors = TaskTensors(self._known_NF, torch.zeros_like(base_log_1NC[0]), None, base_log_1NC)
        batch_size = min(config.num_prompts, len(self._known_NF))
        plan = Plan(learning_rate, "constant", 0, config.max_steps, batch_size, weight_decay=0.0, max_grad_norm=0.0)

        def after_step(step: StackStep) -> bool:
            return watch(_progress(step))

        return descend(self.policy.params, Changes(tensors), Distillation(), Common(), [plan], [seed], after_step)

    @property
    def trained(self) -> dict[str, Tensor]:
        """See `World.trained`."""
        return member(self.policy.params, 0)

    def become_base(self) -> None:
        """See `World.become_base`."""
        self.policy.take(member(self._base, 0))


def choose_device(name: str) -> torch.device:
    """`auto` is the CPU, which is faster for networks of this size one at a time; a sweep may say `cuda`.

    Raises:
        ModelError: not a device, or one that this machine lacks.
    """
    return device_of(name, auto="cpu")


def _progress(step: StackStep) -> Progress:
    """The figures of a stack of one; the device is asked once for all of them."""
    found = {"loss": step.loss_M, "reward": step.reward_M, "grad_norm": step.norm_M}
    known = {name: value_M[0] for name, value_M in found.items() if value_M is not None}
    known["entropy"] = entropy(step.log_MBC[0]).mean()
    figures = dict(zip(known, torch.stack(list(known.values())).tolist(), strict=True))
    return Progress(step.number, step.steps, learning_rate=step.rates[0], **figures)


def _group(values_N: torch.Tensor) -> Group:
    return Group(tuple(values_N.double().tolist()), (1,) * len(values_N))
