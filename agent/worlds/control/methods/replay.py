"""The modifier `replay`: a share of each batch is starts of the tasks before (arXiv 1811.11682).

What imitates is shown their demonstrations, what plays is judged by their own rewards. Batches keep their size and a
stage its steps, so that the method costs what its objective costs and sees the fewer of its own starts. The earlier
tasks' starts are one pool, each start as likely as any other; for what imitates those without a demonstration that
succeeded are left out. Without an earlier task nothing changes, bit for bit.
"""

from dataclasses import replace

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.control.batches import demonstrations_of
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.pretrain import Base
from perdure.curriculum.settings import Replay


def modify(job: UpdateJob, settings: Replay, base: Base, changes: Changes) -> Changes:
    """The starts of the earlier tasks."""
    imitates = "demonstrations" in job.method.objective.needs
    pool = [item for task in job.earlier for item in task.train if demonstrations_of(item) or not imitates]
    return replace(changes, earlier=tuple(pool), replay_ratio=settings.replay_ratio)
