"""The prompts on which the base's side of every KL is computed before the run begins, in named groups.

Whatever trains on texts of the base has others than the monitor reads: a policy that is held near the base on the
monitor's own would be nearer there than elsewhere, and the monitor would read too little.

The generic probe is the group `GENERIC`: prompts of `budget.generic`, or without such a file those from which the base
writes by itself (`World.neutral_prompts`), which need no data of the user's. Where the budget does not count it, it has
a third of the prompts of a task, since it is read beside them at every reading.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from perdure.agent.worlds.contract import World
from perdure.budget.errors import DataError
from perdure.budget.files import sha256_of
from perdure.budget.monitor import GENERIC
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import TextSettings
from perdure.curriculum.task import Task, question
from perdure.curriculum.train import settings_for
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
    curriculum: Curriculum,
    tasks: Sequence[Task],
    examined: frozenset[str] = frozenset(),
    world: World | None = None,
) -> dict[str, list[object]]:
    """All groups of a run: those that the monitor reads, those of KL terms, and that of the recovery.

    Without a `world`, as long as it is not loaded, those of its neutral prompts are left out.

    The monitor's are the first `budget.num_prompts` of a task or file, and those that are trained on the next as many.
    With fewer than twice as many the monitor has the first half and the training the second. Of tasks with items in
    common none that the monitor reads for one is trained on for another. A run in which nothing is trained on texts of
    the base leaves the monitor all that it can read. A term and the recovery share their prompts. None of those that
    are trained on is `examined`, also where they are general.

    Raises:
        DataError: a task or file with fewer than `FEWEST` prompts, where something is trained on texts of the base;
            all of those prompts are examined, or read for other tasks.
    """
    count, terms = curriculum.budget.num_prompts, needs_terms(curriculum)
    groups: dict[str, list[object]] = {}
    trained: dict[str, list[object]] = {}
    read_of = tasks if curriculum.budget.prompts != "generic" else ()
    for task in read_of:
        prompts = [item.prompt for item in task.train[: 2 * count]]
        groups[task.name] = halves(f"task {task.name!r}", prompts, count, count)[0] if terms else prompts[:count]
    known = frozenset(question(prompt) for some in groups.values() for prompt in some)
    for task in read_of if terms else ():
        trained[TERM + task.name] = _unread(task, known, count)
    read, trained_on = _generic(curriculum, world)
    groups |= {GENERIC: read} if read else {}
    if _generic_terms(curriculum) and trained_on:
        trained[TERM + GENERIC] = trained_on
    if _recovers_on_texts(curriculum) and trained_on:
        trained[RECOVER] = trained_on
    return groups | {name: _unexamined(name, some, examined) for name, some in trained.items()}


def _generic_terms(curriculum: Curriculum) -> bool:
    """True if a term may be on general prompts: the budget counts them, or a modifier asks for them."""
    if curriculum.budget.counts_generic:
        return needs_terms(curriculum)
    return any(
        isinstance(settings, TextSettings) and settings.prompts == "generic"
        for stage in curriculum.stages
        for name in candidate_methods(curriculum, stage)
        for settings in settings_for(curriculum.method(name), curriculum.train, stage.train).modifiers.values()
    )


def reads_probe(curriculum: Curriculum) -> bool:
    """True if the monitor reads the generic probe: it is asked for, and there is one."""
    return curriculum.budget.probe and (curriculum.budget.generic is not None or curriculum.spec.neutral_prompts)


def probe_of(curriculum: Curriculum) -> str | None:
    """The name of the texts that replace the probe's own openings: `builtin:NAME`, or the SHA-256 of the file."""
    named = curriculum.budget.generic
    return named if named is None or not Path(named).is_file() else sha256_of(Path(named))


def _recovers_on_texts(curriculum: Curriculum) -> bool:
    """True if the recovery is on the group `RECOVER`; other worlds have what their base learned from."""
    return curriculum.spec.reads_text and curriculum.budget.enforces("recover")


def _generic(curriculum: Curriculum, world: World | None) -> tuple[list[object], list[object]]:
    """The general prompts that the monitor reads, and those that are trained on."""
    budget, count = curriculum.budget, curriculum.budget.num_prompts
    reads = reads_probe(curriculum)
    trains = _generic_terms(curriculum) or _recovers_on_texts(curriculum)
    if not (reads or trains):
        return [], []
    if budget.generic is not None:
        assert curriculum.spec.generic_prompts is not None, "the schema refuses generic prompts where none are read"
        prompts = list(load(curriculum.spec.generic_prompts)(Path(budget.generic), 2 * count))
    else:
        prompts = [] if world is None else list(world.neutral_prompts(2 * count, curriculum))
    if not prompts:
        return [], []
    some = count if budget.counts_generic else max(FEWEST // 2, -(-count // 3))
    if reads and trains:
        return halves("budget.generic", prompts, some, count)
    return (prompts[:some], []) if reads else ([], prompts[-count:])


def _unread(task: Task, known: frozenset[str], count: int) -> list[object]:
    """The first `count` prompts of a task that the monitor reads for no task."""
    found = (item.prompt for item in task.train if question(item.prompt) not in known)
    prompts: list[object] = list(islice(found, count))
    if not prompts:
        raise DataError(
            f"task {task.name!r}: the monitor reads all of its {len(task.train)} prompts, here or for another task, "
            "and none is left to train on texts of the base; lower budget.num_prompts, or raise the task's `train`"
        )
    return prompts


def _unexamined(name: str, prompts: Sequence[object], examined: frozenset[str]) -> list[object]:
    """The prompts of a group that is trained on, without those that are examined."""
    kept = [prompt for prompt in prompts if question(prompt) not in examined]
    if not kept:
        raise DataError(
            f"budget.generic: a stage or a benchmark examines all {len(prompts)} prompts that are trained on (group "
            f"{name!r}); give others"
        )
    return kept


def halves(whose: str, prompts: Sequence[object], read: int, trained: int) -> tuple[list[object], list[object]]:
    """The prompts that the monitor reads, and those that are trained on: so many, or at least half of all each.

    Raises:
        DataError: there are fewer than `FEWEST`.
    """
    if len(prompts) < FEWEST:
        raise DataError(
            f"{whose}: there are {len(prompts)} prompts. With `enforce: penalty` or `recover`, or a method such as "
            "`sft_kl` or `ewc`, half of them are trained on and half are read by the monitor: at least "
            f"{FEWEST} are needed"
        )
    first = min(read, (len(prompts) + 1) // 2)
    return list(prompts[:first]), list(prompts[first : first + trained])


def term_groups(curriculum: Curriculum, seen: Sequence[str]) -> tuple[str, ...]:
    """The groups of a KL term in a stage, given the tasks seen so far, the stage's own last."""
    own = {"seen": [*seen], "task": [*seen][-1:], "generic": [GENERIC], "both": [*seen, GENERIC]}
    return tuple(TERM + name for name in own[curriculum.budget.prompts]) if needs_terms(curriculum) else ()


def sides(groups: Sequence[str]) -> list[tuple[str, ...]]:
    """The groups of a KL term by what the budget counts: those of tasks, and the probe's (`prompts: both`)."""
    tasks = tuple(name for name in groups if name != TERM + GENERIC)
    return [some for some in (tasks, tuple(name for name in groups if name == TERM + GENERIC)) if some]


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
