"""The KL term that `enforce: penalty` adds to every method's loss, and the distillation of `enforce: recover`.

Axes: N images at hand, B images of a step, F features, C classes; M is 1, since a run has one model.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.base_prompts import draw_texts, sides
from perdure.agent.worlds.vision.losses import kl_base_to_policy
from perdure.agent.worlds.vision.mlp import Params, shared_forward
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.budget.penalty import Controller
from perdure.curriculum.settings import Common

Groups = Mapping[str, tuple[Tensor, Tensor]]
"""Inputs (N, F) and the base's log-probabilities (N, C), by the name of the group."""


class KlPenalty:
    """`weight · KL(π0 ‖ π)`, base first and exact over the labels, on a few images of the term's groups a step.

    Each group, inputs (N, F) and the base's log-probabilities (N, C), gives an equal part, and the KL is the mean over
    groups of their means: an estimate of what the monitor reads. The images of a step depend on the seed and the step
    alone, so that the method draws what it would draw without the term. At a weight of 0 there is no term, not even one
    of 0, and the KL is still read: the weight has to rise again. Of both what the tasks and what the generic probe give
    (`budget.prompts: both`) each is a term, and the larger KL steers.
    """

    def __init__(self, controller: Controller, groups: Groups, seed: int) -> None:
        self._controller = controller
        self._sides = [{name: groups[name] for name in some} for some in sides(list(groups))]
        self._seed = derive(seed, "penalty")
        self._kl = torch.nan

    def __call__(self, leaves: Params, step: int, log_of_step_MBC: Tensor, rows: Rows) -> Tensor:
        """See `perdure.agent.worlds.vision.task_tensors.Term`; the images of the step play no part."""
        weight = self._controller.weight
        with torch.set_grad_enabled(weight > 0):
            kls_SM = torch.stack([self._kl_on(leaves, step, groups) for groups in self._sides])
        self._kl = float(kls_SM.detach().max())
        kl_M = kls_SM.sum(0)
        return weight * kl_M if weight else torch.zeros_like(kl_M)

    def steer(self) -> None:
        """Give the controller the KL at the step's gradient; called after the step."""
        self._controller.steer(self._kl)

    def chosen(self, step: int) -> dict[str, list[int]]:
        """The images of a step, by group."""
        return {name: rows for groups in self._sides for name, rows in self._drawn(step, groups).items()}

    def _drawn(self, step: int, groups: Groups) -> dict[str, list[int]]:
        sizes = {name: len(inputs_NF) for name, (inputs_NF, _) in groups.items()}
        return draw_texts(sizes, count=self._controller.num_prompts, seed=self._seed, step=step)

    def _kl_on(self, leaves: Params, step: int, groups: Groups) -> Tensor:
        """The KL on the images of a step of these groups: shape (M,)."""
        inputs_BF, base_log_BC, share_B = self._tensors(groups, self._drawn(step, groups))
        log_MBC = shared_forward(leaves, inputs_BF).log_softmax(-1)
        return (kl_base_to_policy(log_MBC, base_log_BC.expand_as(log_MBC)) * share_B).sum(-1)

    def _tensors(self, groups: Groups, chosen: Mapping[str, list[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Their inputs and the base's log-probabilities, and what each counts: shares that sum to 1."""
        inputs, base_logs = zip(*(groups[name] for name in chosen), strict=True)
        rows = list(chosen.values())
        inputs_BF = torch.cat([inputs_NF[some] for inputs_NF, some in zip(inputs, rows, strict=True)])
        base_log_BC = torch.cat([base_log_NC[some] for base_log_NC, some in zip(base_logs, rows, strict=True)])
        shares = [1 / (len(some) * len(rows)) for some in rows for _ in some]
        return inputs_BF, base_log_BC, torch.tensor(shares, device=inputs_BF.device)


class Distillation:
    """A method's two functions whose loss is KL(π0 ‖ π) on the images of the step: it only goes back to the base."""

    def begin_pass(
        self, tensors: TaskTensors, settings: Common, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
    ) -> Rows:
        """Nothing to draw."""
        return {}

    def loss(
        self, log_MBC: Tensor, rows: Rows, settings: Common, rngs: Rngs, index: StepIndex
    ) -> tuple[Tensor, Tensor | None]:
        """The KL, nats an image."""
        return kl_base_to_policy(log_MBC, rows["base_log"]).mean(-1), None
