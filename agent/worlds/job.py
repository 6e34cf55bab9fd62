"""The job of an update: built here for a stage, for a trial of one, and for a plan."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from perdure.agent.worlds.base_prompts import term_groups
from perdure.agent.worlds.contract import Saving, UpdateJob, Watch
from perdure.agent.worlds.registry import shortened
from perdure.budget.penalty import Controller
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.methods import Method


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
    task: Task | None = None,
    steps_spent: int = 0,
    change: Callable[[Common], Common] = same,
) -> UpdateJob:
    """The job of stage `number`, from 1.

    Args:
        tasks: those of all stages.
        task: what is trained on, where it is not the stage's whole task.
        steps_spent: optimiser steps that the update makes fewer than its settings say.
        change: makes the objective's settings from those of the stage.
    """
    settings = settings_for(method, curriculum.train, curriculum.stages[number - 1].train)
    task = tasks[number - 1] if task is None else task
    objective = shortened(curriculum, method, change(settings.objective), len(task.train), steps_spent)
    return UpdateJob(
        method=method,
        policy=policy,
        task=task,
        settings=replace(settings, objective=objective),
        seed=seed,
        folder=folder,
        watch=watch,
        saving=saving,
        earlier=tuple(tasks[: number - 1]),
        texts=term_groups(curriculum, [one.name for one in tasks[:number]]),
        unit=curriculum.budget.unit,
        controller=controller,
    )
