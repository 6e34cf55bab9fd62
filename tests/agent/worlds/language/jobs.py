"""Jobs for updates of a language model, by the name of the method and a few settings."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Outcome, Progress, UpdateJob
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings, Train, settings_for
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.language.tiny_world import tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task


def method_of(name: str) -> Method:
    """A method of the language world."""
    return spec_of("language").method(name)


def settings_of(name: str, **given: Any) -> MethodSettings:
    """The settings of a method under a `train` of these values, those that no part of it knows left out.

    A value of one section is given as a map: `settings_of("rl+replay", beta=0.1, replay={"replay_ratio": 0.5})`.
    """
    return settings_for(method_of(name), Train.model_validate(given), Train())


def job_of(
    name: str,
    policy: Any,
    task: Task,
    folder: Path,
    settings: MethodSettings,
    *,
    watch: Callable[[Progress], bool] = lambda progress: False,
    seed: int = 5,
    **more: Any,
) -> UpdateJob:
    """A job; `more` are fields of `UpdateJob`: earlier, texts, unit, controller."""
    return UpdateJob(method_of(name), policy, task, settings, seed, folder, watch, **more)


def update(job: UpdateJob) -> Outcome:
    """Carry a job out."""
    found: Outcome = import_module(job.method.objective.code).update(job)
    return found


def with_objective(settings: MethodSettings, **changes: Any) -> MethodSettings:
    """The settings with some of the objective's changed."""
    return replace(settings, objective=settings.objective.model_copy(update=changes))


def after(name: str, settings: MethodSettings, folder: Path, policy: Any = None, **more: Any) -> str:
    """The hash of the weights after an update on 16 items; `more` are fields of `UpdateJob`."""
    policy = policy or with_base(tiny_policy())
    update(job_of(name, policy, toy_task(16), folder, settings, **more))
    return digest(trainable(policy.model))
