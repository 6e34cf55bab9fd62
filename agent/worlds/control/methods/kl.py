"""The modifier `kl`: `beta` · KL(π0 ‖ π), the forward KL that the law of forgetting is about, base first.

The term is taken on the decisions of the step, exact over the values of each dimension, in nats a decision. So the
objective and the base pull at the same decisions, where `enforce: penalty` takes decisions of the base's episodes.
"""

from dataclasses import replace

from torch import Tensor

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.batches import Batch
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.losses import kl_base_to_policy
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.curriculum.settings import Kl


def modify(job: UpdateJob, settings: Kl, base: ControlBase, changes: Changes) -> Changes:
    """The term more."""
    assert settings.beta is not None, "a default stands in the method's row"
    beta = settings.beta

    def term(batch: Batch, log_NDB: Tensor) -> Tensor:
        assert batch.base_log_NDB is not None, "a batch has it where there are such terms"
        return beta * kl_base_to_policy(log_NDB, batch.base_log_NDB).mean()

    return replace(changes, on_batch=(*changes.on_batch, term))
