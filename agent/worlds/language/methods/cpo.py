"""The modifier `cpo`: a penalty on moving the weights that matter most for what was known (see `terms.Protected`)."""

from dataclasses import replace

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.language.methods.ewc import importance
from perdure.agent.worlds.terms import Protected
from perdure.curriculum.settings import Cpo


def modify(job: UpdateJob, settings: Cpo, changes: Changes) -> Changes:
    """Add the penalty. A resumed update protects the same weights."""
    assert settings.cpo_lambda is not None, "a default stands in the method's row"
    figures = importance(job, settings.fisher_items, "cpo")
    term = Protected(job.policy.model, settings.cpo_lambda, settings.protected, figures)
    return replace(changes, terms=(*changes.terms, term))
