"""The modifier `l2`: `+ l2_lambda / 2 · sum_i (θ_i - θ*_i)²`, a penalty on moving from the stage's first weights.

The penalty of L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483), and the baseline of EWC's paper (arXiv 1612.00796).
Departures: θ* are the weights at the start of the stage and not those of the base, no layer is left out as new, and the
term is part of the loss, so that AdamW's moments see it.
"""

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.terms import Quadratic
from perdure.curriculum.settings import L2


def modify(job: UpdateJob, settings: L2, base: ControlBase, changes: Changes) -> Changes:
    """The quadratic term."""
    assert settings.l2_lambda is not None, "a default stands in the method's row"
    return changes.with_term(Quadratic(job.policy.actor.network, settings.l2_lambda))
