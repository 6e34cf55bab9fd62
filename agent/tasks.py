"""The tasks of a curriculum: one cut a pool of items, and no item that is trained on and examined.

Items are the same that have the same question or row (`perdure.curriculum.task.keys`). Examined are the held-out items
of every stage and the items of every benchmark; none of them is a training item of any stage, and so in no replay,
trial or text of the base.
"""

from collections.abc import Sequence

from perdure.agent.seeds import derive
from perdure.budget.errors import DataError
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Task, is_among, questions
from perdure.curriculum.worlds.build import build_task
from perdure.eval.benchmarks import BenchmarkSet, examined_by


def build_tasks(curriculum: Curriculum) -> tuple[Task, ...]:
    """The task of each stage, each apart from itself only. Raises as `build_task`."""
    return tuple(_build(curriculum, stage, frozenset()) for stage in curriculum.stages)


def build_unexamined(curriculum: Curriculum, number: int) -> Task:
    """The task of one stage (from 0), apart from the held-out items of all stages. Raises as `build_task`."""
    heldout = (item for task in build_tasks(curriculum) for item in task.heldout)
    return _build(curriculum, curriculum.stages[number], questions(heldout))


def keep_apart(curriculum: Curriculum, tasks: Sequence[Task], benchmarks: BenchmarkSet) -> tuple[Task, ...]:
    """The tasks with other training items in place of those on which a stage or a benchmark is examined.

    A task that has none of them stays as it is. Raises as `build_task`.
    """
    examined = examined_by(tasks, benchmarks)
    return tuple(
        _apart(curriculum, stage, task, examined)
        if stage.task.needs_examined or any(is_among(item, examined) for item in task.train)
        else task
        for stage, task in zip(curriculum.stages, tasks, strict=True)
    )


def _apart(curriculum: Curriculum, stage: Stage, task: Task, examined: frozenset[str]) -> Task:
    made = _build(curriculum, stage, examined)
    if made.heldout != task.heldout:
        raise DataError(f"task {task.name!r}: its source gives other held-out items each time it is asked")
    return made


def _build(curriculum: Curriculum, stage: Stage, examined: frozenset[str]) -> Task:
    """The seed is that of the first stage with the same pool, so that a task that comes back keeps its cut."""
    pool = stage.task.pool
    first = stage if pool is None else next(one for one in curriculum.stages if one.task.pool == pool)
    seed = derive(curriculum.seed, "task", first.name)
    return build_task(stage.task, name=stage.name, seed=seed, model=curriculum.model, examined=examined)
