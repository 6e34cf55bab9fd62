"""The modifier `l2`: a penalty on moving from the weights that the stage began with, all weights alike.

    L + l2_lambda / 2 · sum_i (θ_i - θ*_i)²

The penalty of L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483) and the baseline of EWC's paper (arXiv 1612.00796),
where θ* are the weights after the task before. Departures: all trained parameters have the penalty, where L2-SP
excludes a new head, and it is part of the loss, so that it enters AdamW's moments.
"""

from dataclasses import replace

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.terms import Quadratic
from perdure.curriculum.settings import L2


def modify(job: UpdateJob, settings: L2, changes: Changes) -> Changes:
    """Add the penalty."""
    assert settings.l2_lambda is not None, "a default stands in the method's row"
    return replace(changes, terms=(*changes.terms, Quadratic(job.policy.model, settings.l2_lambda)))
