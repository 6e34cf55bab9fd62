"""Everything that must be right before a life begins or goes on. Nothing is written until all of it is."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from perdure.agent.chronicle import Chronicle, View
from perdure.agent.folder import RunFolder, check_free, create, open_folder, read_json
from perdure.agent.interrupt import Interrupt
from perdure.agent.journal import read_journal
from perdure.agent.loop import Life, budget_prompts
from perdure.agent.methods import check_settings
from perdure.agent.seeds import derive
from perdure.agent.world import World
from perdure.budget.errors import RunError
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import AutoStrategy, Curriculum, Stage
from perdure.curriculum.sources.build import build_task, check_task, learnable_by
from perdure.curriculum.task import Task
from perdure.curriculum.train import Method, settings_for
from perdure.eval.benchmarks import Prepared, prepare_benchmarks
from perdure.eval.scorecard import Scorecard

LIBRARIES = (
    *("perdure", "torch", "transformers", "trl", "accelerate", "peft", "tokenizers", "numpy"),
    *("datasets", "lm_eval", "reasoning-gym", "math-verify"),
)


def start(curriculum: Curriculum, path: Path, view: View) -> Life:
    """A new life in a new run folder at `path`.

    Raises:
        PerdureError: whatever is wrong with the data, the settings, the benchmarks, the model or the folder.
    """
    check_free(path)
    tasks, benchmarks, world = _prepare(curriculum, view)
    description = _description(curriculum, path.name, tasks, benchmarks, world)
    folder = create(path, description)
    chronicle = Chronicle(folder, view)
    chronicle.tell("started", **description)
    return _life(curriculum, tasks, benchmarks, world, folder, chronicle)


def resume(path: Path, view: View) -> Life:
    """The life in an existing run folder, from where it stopped.

    Raises:
        RunError: no run there, or what it was begun with is no longer the same (the difference is named).
        PerdureError: as `start`.
    """
    folder = open_folder(path)
    begun = _begun_with(folder)
    curriculum = Curriculum.model_validate(read_json(folder.description)["curriculum"])
    _refuse_differences(begun, {"curriculum": curriculum.model_dump(mode="json"), "versions": _versions()})
    tasks, benchmarks, world = _prepare(curriculum, view)
    now = _description(curriculum, begun["run"], tasks, benchmarks, world)
    _refuse_differences(begun, now)
    chronicle = Chronicle(folder, view)
    chronicle.tell("started", **now) if chronicle.record.status == "empty" else chronicle.tell("resumed")
    return _life(curriculum, tasks, benchmarks, world, folder, chronicle)


def _prepare(curriculum: Curriculum, view: View) -> tuple[tuple[Task, ...], Prepared, World]:
    """Cheap faults first: data, then train settings, then benchmarks, and the model last."""
    view.progress({"phase": "reading the tasks"})
    tasks = tuple(
        build_task(stage.task, name=stage.name, seed=derive(curriculum.seed, "task", stage.name))
        for stage in curriculum.stages
    )
    methods = [_possible_methods(curriculum, *pair) for pair in zip(curriculum.stages, tasks, strict=True)]
    budget_prompts(curriculum, tasks)
    view.progress({"phase": "loading the libraries"})
    from perdure.agent.language.world import LanguageWorld

    for stage, task, possible in zip(curriculum.stages, tasks, methods, strict=True):
        for method in possible:
            settings = settings_for(method, curriculum.train, stage.train)
            check_settings(method, settings, f"stages.{stage.name}.train", task)
    view.progress({"phase": "reading the benchmarks"})
    benchmarks = prepare_benchmarks(curriculum.benchmarks)
    view.progress({"phase": "loading the model"})
    return tasks, benchmarks, LanguageWorld(curriculum)


def _possible_methods(curriculum: Curriculum, stage: Stage, task: Task) -> Sequence[Method]:
    if stage.method is not None or not isinstance(curriculum.strategy, AutoStrategy):
        method = stage.method or curriculum.strategy.method  # type: ignore[union-attr]
        check_task(task, method)
        return [method]
    return learnable_by(task)


def _description(
    curriculum: Curriculum, run: str, tasks: Sequence[Task], benchmarks: Prepared, world: World
) -> dict[str, Any]:
    """What `run.json` and the journal's first line hold."""
    return {
        "run": run,
        "tasks": [task.name for task in tasks],
        "benchmarks": [benchmark.title for benchmark in curriculum.benchmarks],
        "curriculum": curriculum.model_dump(mode="json"),
        "versions": _versions(),
        "resolved": dict(world.resolved),
        "base_sha256": world.policy.fingerprint(),
        "data": {task.name: task.fingerprint() for task in tasks} | benchmarks.fingerprints,
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _begun_with(folder: RunFolder) -> dict[str, Any]:
    """The journal's first event; `run.json` where the run was killed before it was written."""
    first = next(iter(read_journal(folder.journal)), None) if folder.journal.exists() else None
    return first if first is not None else dict(read_json(folder.description))


def _refuse_differences(begun: dict[str, Any], now: dict[str, Any]) -> None:
    differences = [line for key in now for line in _differences(key, begun.get(key), now[key])]
    if differences:
        listed = "\n  ".join(differences)
        raise RunError(
            f"this run cannot go on as it began, since these differ:\n  {listed}\n"
            "Put them back as they were, or start a new run"
        )


def _differences(path: str, begun: Any, now: Any) -> list[str]:
    """Where two JSON values differ, one line each."""
    if isinstance(begun, dict) and isinstance(now, dict):
        keys = [*begun, *(key for key in now if key not in begun)]
        return [line for key in keys for line in _differences(f"{path}.{key}", begun.get(key), now.get(key))]
    if isinstance(begun, list) and isinstance(now, list) and len(begun) == len(now):
        return [
            line
            for index, pair in enumerate(zip(begun, now, strict=True))
            for line in _differences(f"{path}[{index}]", *pair)
        ]
    return [] if begun == now else [f"{path}: was {begun!r}, is {now!r}"]


def _life(
    curriculum: Curriculum,
    tasks: tuple[Task, ...],
    benchmarks: Prepared,
    world: World,
    folder: RunFolder,
    chronicle: Chronicle,
) -> Life:
    return Life(
        curriculum=curriculum,
        tasks=tasks,
        world=world,
        monitor=Monitor(curriculum.budget, world.measure),
        scorecard=Scorecard(tasks, benchmarks, curriculum.evaluation, folder.path),
        folder=folder,
        chronicle=chronicle,
        interrupt=Interrupt(),
    )
