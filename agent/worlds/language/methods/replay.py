"""The modifier `replay`: a share of the training items comes from the tasks of earlier stages.

Experience replay (Rolnick et al., arXiv 1811.11682): a share `replay_ratio` of the items are of earlier tasks, in equal
parts, drawn once at the seed, and shuffled with the new ones. SFT learns their demonstrations; RL samples for their
prompts, and each task's own reward judges. Even a hundredth can be enough. At the first stage there is nothing to
replay.

Departures: there is no buffer, since the tasks are still there; every new item is kept, so that a pass over the mixture
is longer than one over the task by 1 / (1 - replay_ratio) (give `max_steps` for equal work); earlier tasks without what
the objective needs are not replayed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.language.trl.rows import can_replay, check_replay, recalled
from perdure.curriculum.settings import Replay
from perdure.curriculum.task import Item, Reward, Task


def modify(job: UpdateJob, settings: Replay, changes: Changes) -> Changes:
    """The mixture in place of the task.

    Raises:
        DataError: the objective samples, and an earlier task asks in another form.
    """
    check_replay(job.method, job.task, job.earlier)
    purpose = derive(job.seed, "replay")
    return replace(changes, task=mixture(job, ratio=settings.replay_ratio, seed=purpose))


def mixture(job: UpdateJob, *, ratio: float, seed: int) -> Task:
    """The task's items and behind them the replayed ones: `ratio` of all, but one at least, and none twice."""
    task, needs = job.task, job.method.objective.needs
    count = max(1, round(len(task.train) * ratio / (1 - ratio)))
    earlier = [_copied(one) for one in job.earlier if can_replay(one, needs)]
    items = (*task.train, *recalled(earlier, needs, count=count, seed=seed))
    return replace(task, train=items, reward=RewardByTask([task, *earlier]) if task.reward else None)


def _copied(task: Task) -> Task:
    """The task with objects of its own as training items, since `RewardByTask` tells items apart as objects."""
    return replace(task, train=tuple(replace(item) for item in task.train))


class RewardByTask:
    """The reward of a mixture: each item, told apart as an object, is judged by its own task's reward, if any."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._rewards: dict[int, Reward | None] = {id(item): task.reward for task in tasks for item in task.train}
        self._items = [item for task in tasks for item in task.train]  # so that no number is given to another object

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        """See `Reward`."""
        return self._judged(items, completions, completion_ids, lambda reward, *given: reward(*given))

    def during_training(
        self,
        items: Sequence[Item],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_arguments: Mapping[str, Any],
    ) -> list[float | None]:
        """As `FromTrl.during_training`; of columns that a function logs nothing is kept, as it sees some answers."""
        arguments = {**trainer_arguments, "log_extra": lambda *_: None}

        def judge(reward: Reward, *given: Any) -> list[float | None]:
            own: Callable[..., list[float | None]] | None = getattr(reward, "during_training", None)
            return reward(*given) if own is None else own(*given, arguments)

        return self._judged(items, completions, completion_ids, judge)

    def _judged(
        self,
        items: Sequence[Item],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None,
        judge: Callable[..., list[float | None]],
    ) -> list[float | None]:
        found: list[float | None] = [None] * len(items)
        rewards = [self._rewards[id(item)] for item in items]
        for reward in {id(one): one for one in rewards if one is not None}.values():
            places = [place for place, one in enumerate(rewards) if one is reward]
            ids = None if completion_ids is None else [completion_ids[place] for place in places]
            values = judge(reward, [items[place] for place in places], [completions[place] for place in places], ids)
            for place, value in zip(places, values, strict=True):
                found[place] = value
        return found
