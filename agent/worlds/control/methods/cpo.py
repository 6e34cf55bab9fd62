"""The modifier `cpo`: a penalty on moving the weights that matter most for what was known, and those alone.

    L + cpo_lambda · mean over protected i of |θ_i - θ*_i|

CPO (arXiv 2607.04364) penalises the L1 movement of the top 10 % of the weights at a weight of 100. Its text could not
be had, only summaries: how it scores weights and what it divides by is chosen here. The score is the Fisher information
that `ewc` takes, θ* are the weights that the stage began with, the share is one of each tensor, and the movement is a
mean, so that `cpo_lambda` means the same whatever the size of the model.
"""

from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.methods.ewc import fisher, remembered
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.terms import Protected
from perdure.curriculum.settings import Cpo


def modify(job: UpdateJob, settings: Cpo, base: ControlBase, changes: Changes) -> Changes:
    """The penalty.

    Raises:
        DataError: nothing was demonstrated before this stage.
    """
    assert settings.cpo_lambda is not None, "a default stands in the method's row"
    actor, seen = job.policy.actor, remembered(job, base, settings.fisher_items)

    def importance() -> dict[str, Tensor]:
        return fisher(actor, seen, dimensions=len(job.policy.actions.sizes), seed=derive(job.seed, "cpo"))

    return changes.with_term(Protected(actor.network, settings.cpo_lambda, settings.protected, importance))
