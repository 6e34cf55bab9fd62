"""The modifier `cpo`: a penalty on moving the weights that matter most for what was known (see `terms.Protected`)."""

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.methods.ewc import importance
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.terms import Protected
from perdure.curriculum.settings import Cpo


def modify(job: UpdateJob, settings: Cpo, base: ControlBase, changes: Changes) -> Changes:
    """The penalty."""
    assert settings.cpo_lambda is not None, "a default stands in the method's row"
    figures = importance(job, base, settings.fisher_items, "cpo")
    return changes.with_term(Protected(job.policy.actor.network, settings.cpo_lambda, settings.protected, figures))
