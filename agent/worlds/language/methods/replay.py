"""SFT with demonstrations of earlier stages mixed in.

Experience replay (Rolnick et al., arXiv 1811.11682): a share `replay_ratio` of the examples are demonstrations of
earlier tasks, in equal parts, drawn once at the seed, and shuffled with the new ones. Even a hundredth can be enough.
At the first stage there is nothing to replay, and it is `sft`.

Departures: a buffer is not needed, since the tasks are still there; every new demonstration is kept, so that a pass
over the mixture is longer than one over the task by 1 / (1 - replay_ratio) (give `max_steps` for equal work); earlier
tasks without demonstrations are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.agent.seeds import derive
from perdure.agent.worlds.language.methods.sft import Fit
from perdure.agent.worlds.language.trl.rows import check_task, recalled, token_rows
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.curriculum.settings import ReplayTrain
from perdure.curriculum.task import Item, Task


def update(
    policy: Any,
    task: Task,
    settings: ReplayTrain,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside = ALONE,
) -> Outcome:
    """As `sft` (see `agent/worlds/language/methods/sft.py`), on the mixture."""
    check_task("replay", task, None)
    mixed = mixture(task, beside.earlier, ratio=settings.replay_ratio, seed=derive(seed, "replay"))
    rows = token_rows(policy.tokenizer, mixed)
    return Fit("replay", policy, task, settings, seed, folder, watch, beside).run(rows=rows)


def mixture(task: Task, earlier: Sequence[Task], *, ratio: float, seed: int) -> tuple[Item, ...]:
    """The task's items and behind them the replayed ones: `ratio` of all, but one at least, and none twice."""
    count = max(1, round(len(task.train) * ratio / (1 - ratio)))
    return (*task.train, *recalled(earlier, count=count, seed=seed))
