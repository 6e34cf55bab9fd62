"""The job of an update: built here for a stage, for a trial of one, and for a plan."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from perdure.agent.worlds.base_prompts import term_groups
from perdure.agent.worlds.contract import Saving, UpdateJob, Watch
from perdure.agent.worlds.registry import shortened
from perdure.budget.penalty import Controller
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task, is_among, questions
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.methods import Method
from perdure.eval.sampled_rewards import earlier_items, set_aside


def same(settings: Common) -> Common:
    """The settings as they are."""
    return settings


def update_job(
    curriculum: Curriculum,
    tasks: Sequence[Task],
    policy: Policy,
    number: int,
    method: Method,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    saving: Saving = lambda: None,
    controller: Controller | None,
    left_out: int = 0,
    same_steps: bool = True,
    steps_spent: int = 0,
    change: Callable[[Common], Common] = same,
) -> UpdateJob:
    """The job of stage `number`, from 1, among the tasks of all stages.

    Args:
        left_out: training items, the last ones and at most half, that it does not train on; nor does it replay those
            by which a trial or race of as many measures what earlier tasks lose.
        same_steps: with items left out it makes as many steps, and goes over the others the more often.
        steps_spent: optimiser steps that the update makes fewer than its settings say.
        change: makes the objective's settings from those of the stage.
    """
    settings = settings_for(method, curriculum.train, curriculum.stages[number - 1].train)
    task, earlier = trained_on(tasks[number - 1], tasks[: number - 1], left_out)
    items, fixed = len(tasks[number - 1].train), bool(left_out) and same_steps
    objective = shortened(curriculum, method, change(settings.objective), items, steps_spent, fixed=fixed)
    return UpdateJob(
        method=method,
        policy=policy,
        task=task,
        settings=replace(settings, objective=objective),
        seed=seed,
        folder=folder,
        watch=watch,
        saving=saving,
        earlier=earlier,
        aside=_aside(tasks[number - 1], tasks[: number - 1], left_out),
        texts=term_groups(curriculum, [one.name for one in tasks[:number]]),
        unit=curriculum.budget.unit,
        controller=controller,
    )


def trained_on(whole: Task, earlier: Sequence[Task], left_out: int) -> tuple[Task, tuple[Task, ...]]:
    """The task and the earlier ones without what is set aside, which may be in several: a stream may come back to one.

    An earlier task of which nothing is left is left out.
    """
    if not left_out:
        return whole, tuple(earlier)
    aside = _aside(whole, earlier, left_out)
    left = (replace(one, train=tuple(item for item in one.train if not is_among(item, aside))) for one in earlier)
    return set_aside(whole, left_out)[0], tuple(one for one in left if one.train)


def _aside(whole: Task, earlier: Sequence[Task], left_out: int) -> frozenset[str]:
    """The keys of the items that are set aside, of the task and of the earlier ones."""
    if not left_out:
        return frozenset()
    task, aside = set_aside(whole, left_out)
    return questions([*aside, *chain.from_iterable(earlier_items(earlier, task, left_out))])
