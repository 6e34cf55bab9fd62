"""Mean rewards of sampled answers to training items, by which strategies compare policies."""

import math
from collections.abc import Sequence
from dataclasses import replace

from perdure.budget import ranks
from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.import_path import show_error
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Item, Task, is_among, matches_demonstration, questions
from perdure.curriculum.train import settings_for


def set_aside(task: Task, num_prompts: int) -> tuple[Task, tuple[Item, ...]]:
    """Split off the last `num_prompts` training items (at most half) to measure on; held-out items are in neither part.

    Raises:
        ConfigError: the task has a single training item.
    """
    if len(task.train) < 2:
        raise ConfigError(
            f"task {task.name!r} has {len(task.train)} training item, but trials need one to train on and one to "
            "measure on: give it at least 2, or give the stage a `method`"
        )
    measured = last_items(task, num_prompts)
    return replace(task, train=task.train[: -len(measured)], heldout=()), measured


def last_items(task: Task, num_prompts: int) -> tuple[Item, ...]:
    """The last `num_prompts` training items: at least one, at most half of them."""
    return task.train[-max(1, min(num_prompts, len(task.train) // 2)) :]


def earlier_items(earlier: Sequence[Task], trained: Task, num_prompts: int) -> list[tuple[Item, ...]]:
    """The training items by which a trial measures what earlier tasks lose: the last of each, and of each as many.

    None that is `trained` on now is among them, so that an earlier task may have fewer, where a stream comes back to it
    with more items.
    """
    count, own = items_of_each([len(task.train) for task in earlier], num_prompts), questions(trained.train)
    return [tuple(item for item in task.train if not is_among(item, own))[-count:] for task in earlier]


def measured_items(task: Task, earlier: Sequence[Task], num_prompts: int) -> list[tuple[Item, ...]]:
    """The training items of each of the `earlier` tasks and of the task, by which a trial of it measures all of them.

    They are what an update leaves out that leaves out `num_prompts`; a task with a single item has it measured.
    """
    own = last_items(task, num_prompts)
    trained = replace(task, train=task.train[: -len(own)])
    return [*earlier_items(earlier, trained, num_prompts), own]


def items_of_each(sizes: Sequence[int], num_prompts: int) -> int:
    """How many items of each earlier task: `num_prompts` in all, at most half of the smallest task, at least one."""
    return max(1, min([num_prompts // max(1, len(sizes)), *(size // 2 for size in sizes)]))


def sampled_evaluation(curriculum: Curriculum, stage: Stage) -> Evaluation:
    """The curriculum's evaluation, with the answer length of `rl` if that is set."""
    spec, evaluation = curriculum.spec, curriculum.evaluation
    if "rl" not in spec.objectives:
        return evaluation
    settings = settings_for(spec.method("rl"), curriculum.train, stage.train).objective
    length = getattr(settings, "max_completion_length", None)
    return evaluation if length is None else evaluation.model_copy(update={"max_completion_length": length})


def sampled_rewards(
    task: Task, items: Sequence[Item], policy: Policy, evaluation: Evaluation, *, k: int, seed: int
) -> list[list[float | None]]:
    """The rewards of k samples at temperature 1 for each item; `None`: the reward does not apply.

    Without a reward function, an answer equal to the demonstration (surrounding blanks ignored) is worth 1, others 0.

    Raises:
        ConfigError: the reward fails.
    """
    responses = policy.respond(
        [item.prompt for item in items],
        max_completion_length=evaluation.max_completion_length,
        batch_size=evaluation.batch_size,
        temperature=1.0,
        num_samples=k,
        seed=seed,
    )
    asked, texts = [item for item in items for _ in range(k)], [text for row in responses for text in row]
    flat = ranks.told(lambda: _rewards(task, asked, texts))
    return [flat[start : start + k] for start in range(0, len(flat), k)]


def demonstrated_rewards(task: Task, items: Sequence[Item]) -> list[float]:
    """The rewards of the demonstrations of those `items` that have one; one that does not apply counts 0.

    Raises:
        ConfigError: the reward fails.
    """
    shown = [item for item in items if item.demonstration is not None]
    found = ranks.told(lambda: _rewards(task, shown, [item.demonstration or "" for item in shown]))
    return item_means([[one] for one in found])


def item_means(rewards: Sequence[Sequence[float | None]]) -> list[float]:
    """The mean reward of each item; a reward that is not finite or does not apply counts 0."""
    return [sum(one if one is not None and math.isfinite(one) else 0.0 for one in row) / len(row) for row in rewards]


def _rewards(task: Task, items: Sequence[Item], texts: Sequence[str]) -> list[float | None]:
    if task.reward is None:
        return [matches_demonstration(*pair) for pair in zip(items, texts, strict=True)]
    try:
        return task.reward(items, texts)
    except PerdureError:
        raise
    except Exception as error:
        raise ConfigError(f"the reward of task {task.name!r} failed on sampled answers: {show_error(error)}") from error
