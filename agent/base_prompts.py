"""The prompts on which the base's side of every KL is computed before the life begins, in named groups."""

from collections.abc import Sequence
from pathlib import Path

from perdure.curriculum.file.possible import methods_of
from perdure.curriculum.methods import ON_BASE_TEXTS
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sources.prompts import load_prompts
from perdure.curriculum.task import Task

TERM = "term/"
"""Before the name of a group that a KL term is trained on; the monitor reads the group of the bare name."""

RECOVER = "recover"
"""The group that `enforce: recover` distils on."""


def base_prompts(curriculum: Curriculum, tasks: Sequence[Task]) -> dict[str, list[object]]:
    """All groups of a life: those that the monitor reads, those of KL terms, and that of the recovery.

    The prompts of a term are others than the monitor's wherever the task has as many; where it has not they are the
    same, and in the language world at least the texts are others.
    """
    budget, count = curriculum.budget, curriculum.budget.num_prompts
    groups = {name: prompts[:count] for name, prompts in _prompts(curriculum, tasks).items()}
    if needs_terms(curriculum):
        for name, prompts in _prompts(curriculum, tasks).items():
            rest = prompts[count : 2 * count]
            groups[TERM + name] = rest if len(rest) == count else prompts[:count]
    if budget.enforces("recover") and budget.generic is not None:
        groups[RECOVER] = load_prompts(Path(budget.generic), 2 * count)[-count:]
    return groups


def term_groups(curriculum: Curriculum, seen: Sequence[str]) -> tuple[str, ...]:
    """The groups of a KL term in a stage, given the tasks seen so far, the stage's own last."""
    chosen = {"seen": list(seen), "task": list(seen)[-1:], "generic": ["generic"]}[curriculum.budget.prompts]
    return tuple(TERM + name for name in chosen) if needs_terms(curriculum) else ()


def needs_terms(curriculum: Curriculum) -> bool:
    """Whether any stage may train on texts of the base."""
    possible = {method for stage in curriculum.stages for method in methods_of(curriculum, stage)}
    return curriculum.budget.enforces("penalty") or bool(possible & ON_BASE_TEXTS)


def _prompts(curriculum: Curriculum, tasks: Sequence[Task]) -> dict[str, list[object]]:
    """Twice as many as the monitor reads, where there are so many."""
    count = 2 * curriculum.budget.num_prompts
    if curriculum.budget.prompts == "generic" and curriculum.budget.generic is not None:
        return {"generic": load_prompts(Path(curriculum.budget.generic), count)}
    return {task.name: [item.prompt for item in task.train[:count]] for task in tasks}
