"""The modifier `kl`: `beta` · KL(π0 ‖ π), the forward KL that the law of forgetting is about, base first.

The term is taken on the images of the step: the base's distribution over their labels is known exactly, so that no text
of the base has to be sampled, as the language world must. So the objective and the base pull at the same answers, where
`enforce: penalty` takes other images than the step's.
"""

from dataclasses import replace

from torch import Tensor

from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.losses import kl_base_to_policy
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.task_tensors import Rows
from perdure.curriculum.settings import Kl
from perdure.curriculum.worlds.methods import Method


def modify(method: Method, settings: Kl, stacked: Params, changes: Changes) -> Changes:
    """The term more, nats an image."""
    assert settings.beta is not None, "a default stands in the method's row"
    beta = settings.beta

    def term(leaves: Params, step: int, log_MBC: Tensor, rows: Rows) -> Tensor:
        return beta * kl_base_to_policy(log_MBC, rows["base_log"]).mean(-1)

    return replace(changes, terms=(*changes.terms, term))
