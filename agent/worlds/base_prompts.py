"""The prompts on which the base's side of every KL is computed before the run begins, in named groups.

Whatever trains on texts of the base has others than the monitor reads: a policy that is held near the base on the
monitor's own would be nearer there than elsewhere, and the monitor would read too little.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from perdure.budget.errors import DataError
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task, question
from perdure.curriculum.worlds.registry import load

TERM = "term/"
"""Before the name of a group that a KL term is trained on; the monitor reads the group of the bare name.

A task's group has the name of its stage, in which there is no slash, so that none is ever called as one of these.
"""

RECOVER = "recover/generic"
"""The group that `enforce: recover` distils on."""

FEWEST = 4
"""Prompts from which two groups can be made: of one text there is no standard error."""


def base_prompts(
    curriculum: Curriculum, tasks: Sequence[Task], examined: frozenset[str] = frozenset()
) -> dict[str, list[object]]:
    """All groups of a run: those that the monitor reads, those of KL terms, and that of the recovery.

    The monitor's are the first `budget.num_prompts` of a task or file, and those that are trained on the next as many.
    With fewer than twice as many the monitor has the first half and the training the second. A run in which nothing is
    trained on texts of the base leaves the monitor all that it can read. A term and the recovery share their prompts.
    None of those that are trained on is `examined`, also where they are general.

    Raises:
        DataError: a task or file with fewer than `FEWEST` prompts, where something is trained on texts of the base;
            all of those prompts are examined.
    """
    budget, count = curriculum.budget, curriculum.budget.num_prompts
    general = budget.prompts == "generic"
    terms, recovers = needs_terms(curriculum), budget.enforces("recover") and budget.generic is not None
    groups: dict[str, list[object]] = {}
    trained: dict[str, list[object]] = {}
    for name, prompts in _prompts(curriculum, tasks).items():
        whose = "budget.generic" if general else f"task {name!r}"
        parted = terms or (recovers and general)
        groups[name], trained[TERM + name] = halves(whose, prompts, count) if parted else (prompts[:count], [])
    if terms:
        groups |= trained
    if recovers:
        path = Path(str(budget.generic))
        groups[RECOVER] = trained[TERM + "generic"] if general else _generic(curriculum, path, 2 * count)[-count:]
    return {name: _unexamined(name, some, examined) if "/" in name else some for name, some in groups.items()}


def _unexamined(name: str, prompts: Sequence[object], examined: frozenset[str]) -> list[object]:
    """The prompts of a group that is trained on, without those that are examined."""
    kept = [prompt for prompt in prompts if question(prompt) not in examined]
    if not kept:
        raise DataError(
            f"budget.generic: a stage or a benchmark examines all {len(prompts)} prompts that are trained on (group "
            f"{name!r}); give others"
        )
    return kept


def halves(whose: str, prompts: Sequence[object], count: int) -> tuple[list[object], list[object]]:
    """The prompts that the monitor reads, and those that are trained on: `count` each, or half of all each.

    Raises:
        DataError: there are fewer than `FEWEST`.
    """
    if len(prompts) < FEWEST:
        raise DataError(
            f"{whose}: there are {len(prompts)} prompts. With `enforce: penalty` or `recover`, or a method such as "
            "`sft_kl` or `ewc`, half of them are trained on and half are read by the monitor: at least "
            f"{FEWEST} are needed"
        )
    first = min(count, (len(prompts) + 1) // 2)
    return list(prompts[:first]), list(prompts[first : first + count])


def term_groups(curriculum: Curriculum, seen: Sequence[str]) -> tuple[str, ...]:
    """The groups of a KL term in a stage, given the tasks seen so far, the stage's own last."""
    chosen = {"seen": list(seen), "task": list(seen)[-1:], "generic": ["generic"]}[curriculum.budget.prompts]
    return tuple(TERM + name for name in chosen) if needs_terms(curriculum) else ()


def needs_terms(curriculum: Curriculum) -> bool:
    """True if any stage may train on texts of the base: with the penalty, or by a method that needs them."""
    if curriculum.budget.enforces("penalty"):
        return True
    names = {name for stage in curriculum.stages for name in candidate_methods(curriculum, stage)}
    return any("base_texts" in curriculum.spec.method(name).needs for name in names)


def draw_texts(sizes: Mapping[str, int], *, count: int, seed: int, step: int) -> dict[str, list[int]]:
    """The texts of each group that a step takes: `count` in equal parts, none twice, all of a group that is too small.

    Where the parts cannot be equal the step's own draw says which groups give one more; groups that give none are left
    out. The mean over groups of the means of their texts is then an unbiased estimate of what the monitor reads.
    """
    import numpy as np

    generator = np.random.default_rng([seed, step])
    names = list(sizes)
    chosen: dict[str, list[int]] = {}
    for place, number in enumerate(generator.permutation(len(names))):
        name = names[number]
        part = min(count // len(names) + (place < count % len(names)), sizes[name])
        if part:
            chosen[name] = sorted(generator.choice(sizes[name], size=part, replace=False).tolist())
    return chosen


def _prompts(curriculum: Curriculum, tasks: Sequence[Task]) -> dict[str, list[object]]:
    """Twice as many as the monitor reads, where there are so many."""
    count = 2 * curriculum.budget.num_prompts
    if curriculum.budget.prompts == "generic" and curriculum.budget.generic is not None:
        return {"generic": _generic(curriculum, Path(curriculum.budget.generic), count)}
    return {task.name: [item.prompt for item in task.train[:count]] for task in tasks}


def _generic(curriculum: Curriculum, path: Path, count: int) -> list[object]:
    assert curriculum.spec.generic_prompts is not None, "the schema refuses generic prompts where none are read"
    return list(load(curriculum.spec.generic_prompts)(path, count))
