"""The KL term that `enforce: penalty` adds to every method's loss, and the distillation of `enforce: recover`.

Axes: N images at hand, B images of a step, F features, C classes; M is 1, since a life has one model.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.vision.draws import Draws
from perdure.agent.vision.lesson import Lesson, Moment, Rows
from perdure.agent.vision.losses import kl_base_to_policy
from perdure.agent.vision.mlp import Params, shared_forward
from perdure.budget.penalty import Controller
from perdure.curriculum.sections import Common


class Penalty:
    """`weight · KL(π0 ‖ π)`, base first and exact over the labels, on a few images of the term's groups a step.

    The images of a step depend on the seed and the step alone, so that the method draws what it would draw without the
    term. At a weight of 0 there is no term, not even one of 0, and the KL is still read: the weight has to rise again.
    """

    def __init__(self, controller: Controller, inputs_NF: Tensor, base_log_NC: Tensor, seed: int) -> None:
        self._controller, self._seed = controller, seed
        self._inputs_NF, self._base_log_NC = inputs_NF, base_log_NC
        self._kl = torch.nan

    def __call__(self, leaves: Params, step: int) -> Tensor:
        """See `perdure.agent.vision.lesson.Term`."""
        weight = self._controller.weight
        with torch.set_grad_enabled(weight > 0):
            chosen_B = self.chosen(step)
            log_MBC = shared_forward(leaves, self._inputs_NF[chosen_B]).log_softmax(-1)
            kl_M = kl_base_to_policy(log_MBC, self._base_log_NC[chosen_B].expand_as(log_MBC))
        self._kl = float(kl_M.detach())
        return weight * kl_M if weight else torch.zeros_like(kl_M)

    def steer(self) -> None:
        """Tell the controller the KL that the step's gradient was taken at; to be called after the step."""
        self._controller.steer(self._kl)

    def chosen(self, step: int) -> Tensor:
        """The images of a step: indices, shape (B,)."""
        generator = torch.Generator().manual_seed(derive(self._seed, "penalty", str(step)))
        order_N = torch.randperm(len(self._inputs_NF), generator=generator)
        return order_N[: self._controller.num_prompts].to(self._inputs_NF.device)


class Distillation:
    """A method's two functions whose loss is KL(π0 ‖ π) on the images of the step: it only goes back to the base."""

    def begin_pass(
        self, lesson: Lesson, settings: Common, draws: Draws, log_MNC: Callable[[], Tensor], before: Rows
    ) -> Rows:
        """Nothing to draw."""
        return {}

    def loss(
        self, log_MBC: Tensor, rows: Rows, settings: Common, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor | None]:
        """The KL, nats an image."""
        return kl_base_to_policy(log_MBC, rows["base_log"]), None
