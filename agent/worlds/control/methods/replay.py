"""The modifier `replay`: a share of each batch is starts of what was learned before (arXiv 1811.11682).

What imitates is shown their demonstrations, what plays is judged by their own rewards. Batches keep their size and a
stage its steps, so that the method costs what its objective costs and sees the fewer of its own starts. The starts that
the base was pretrained on and those of earlier tasks are one pool, each start as likely as any other. What imitates
leaves out those without a demonstration that succeeded, what plays those that were recorded; a trial or race leaves out
those that it measures on. With an empty pool (a base that was loaded, at the first stage) nothing changes, bit for bit.

Departure from the other worlds, which replay earlier stages alone: here the base's own training data is at hand.
"""

from dataclasses import replace

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.batches import demonstrations_of
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.curriculum.settings import Replay
from perdure.curriculum.task import is_among


def modify(job: UpdateJob, settings: Replay, base: ControlBase, changes: Changes) -> Changes:
    """The starts of what was learned before."""
    needs = job.method.objective.needs
    own = [one for one in base.items if not is_among(one, job.aside)]
    known = [*own, *(item for task in job.earlier for item in task.train)]
    if "demonstrations" in needs:
        known = [one for one in known if demonstrations_of(one)]
    pool = [one for one in known if one.prompt is not None] if "reward" in needs else known
    return replace(changes, earlier=tuple(pool), replay_ratio=settings.replay_ratio)
