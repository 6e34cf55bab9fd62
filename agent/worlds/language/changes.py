"""The changes that modifiers make to an update of any objective."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.terms import Term
from perdure.curriculum.task import Task


@dataclass(frozen=True)
class Changes:
    """The task that the objective trains on, the terms added to its loss, and its optimiser, made of TRL's config."""

    task: Task
    terms: tuple[Term, ...] = ()
    optimizer: Callable[[Any], Any] | None = None

    def optimizers(self, config: Any) -> dict[str, Any]:
        """The argument of TRL's trainers; empty where the optimiser is TRL's."""
        return {} if self.optimizer is None else {"optimizers": (self.optimizer(config), None)}


class Modifier(Protocol):
    """The module of a modifier."""

    modify: Callable[[UpdateJob, Any, Changes], Changes]
    """The changes with the modifier's own added; called once, before the trainer is built."""


def changes_of(job: UpdateJob) -> Changes:
    """The changes of all modifiers of a job."""
    changes = Changes(job.task)
    for spec in job.method.modifiers:
        module: Modifier = import_module(spec.code)
        changes = module.modify(job, job.settings.modifiers[spec.name], changes)
    return changes
