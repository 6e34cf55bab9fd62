"""Looks up all that a curriculum names and that needs no model: datasets, columns, environments, benchmarks.

Nothing is downloaded, no item is made, and no code of the user's is executed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from perdure.budget.errors import DataError
from perdure.curriculum.evaluation import Benchmark
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum
from perdure.curriculum.messages import Path
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.contract import LookedUp, LookUpFault, Source
from perdure.curriculum.worlds.registry import load
from perdure.eval.lm_eval.fetched import refuse_absent
from perdure.eval.lm_eval.names import path_of, unknown_task
from perdure.eval.lm_eval.requirements import TaskNeeds, missing_packages, runs_code, task_needs

MOST_PROMPTS = 1000
"""The general prompts that are read, from the beginning of their file."""


@dataclass
class LookUp:
    """Looks up curricula; what several of them name, as the cells of a sweep do, is looked up once."""

    known: dict[str, LookedUp] = field(default_factory=dict)

    def __call__(self, curriculum: Curriculum) -> LookedUp:
        """The faults of a curriculum with their whole paths, and what could not be looked into."""
        found = [
            replace(one, faults=tuple(replace(fault, path=(*path, *fault.path)) for fault in one.faults))
            for path, one in self._sections(curriculum)
        ]
        unseen = dict.fromkeys(words for one in found for words in one.unseen)
        return LookedUp(tuple(fault for one in found for fault in one.faults), tuple(unseen))

    def _sections(self, curriculum: Curriculum) -> Iterator[tuple[Path, LookedUp]]:
        for path, source in (*curriculum.tasks(), *curriculum.known_tasks()):
            yield path, self._once(f"{type(source).__name__} {source.model_dump_json()}", _task, curriculum, source)
        for index, one in enumerate(curriculum.benchmarks):
            if isinstance(one, Benchmark):
                key = f"benchmark {one.tasks} {one.include_path} {one.data_path}"
                yield ("benchmarks", index, "tasks"), self._once(key, _benchmark, one)
        if curriculum.budget.generic is not None:
            key = f"generic {curriculum.budget.generic}"
            yield ("budget", "generic"), self._once(key, _generic, curriculum)
        if curriculum.spec.lacking is not None:
            yield (), LookedUp(tuple(load(curriculum.spec.lacking)(curriculum)))

    def _once(self, key: str, look: Callable[..., LookedUp], *arguments: object) -> LookedUp:
        if key not in self.known:
            self.known[key] = look(*arguments)
        return self.known[key]


def _task(curriculum: Curriculum, source: Source) -> LookedUp:
    look_up = curriculum.spec.look_up
    return LookedUp() if look_up is None else load(look_up)(source)


def _benchmark(benchmark: Benchmark) -> LookedUp:
    message = unknown_task(benchmark)
    path = None if message is not None else path_of(benchmark)
    if path is not None:
        needs = task_needs(path)
        message = _unmet(benchmark, needs)
        lacking = missing_packages(benchmark.tasks, needs) if message is None else None
        if lacking is not None:
            return LookedUp((LookUpFault((), lacking, package=True),))
    return LookedUp() if message is None else LookedUp((LookUpFault((), message),))


def _unmet(benchmark: Benchmark, needs: TaskNeeds) -> str | None:
    if needs.runs_code:
        return runs_code(benchmark.tasks)
    try:
        refuse_absent(benchmark, needs)
    except DataError as error:
        return str(error)
    return None


def _generic(curriculum: Curriculum) -> LookedUp:
    read, path = curriculum.spec.generic_prompts, FilePath(str(curriculum.budget.generic))
    if read is None or not path.is_file():
        return LookedUp()
    try:
        load(read)(path, MOST_PROMPTS)
    except DataError as error:
        return LookedUp((LookUpFault((), str(error).removeprefix("budget.generic: ")),))
    return LookedUp()


def look_up(read: ReadCurriculum) -> tuple[str, ...]:
    """What could not be looked into, in words.

    Raises:
        CurriculumError: names that are not there, columns that a file lacks, rows that cannot be read; each with its
            place.
    """
    found = LookUp()(read.curriculum)
    if found.faults:
        document = read.document
        raise CurriculumError(Fault(document.place(one.path), one.path, one.message) for one in found.faults)
    return found.unseen
