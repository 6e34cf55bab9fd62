"""Starts and resumes a run; nothing is written before all that it is made of is right (`agent/prepare.py`)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure.agent.differences import refuse_differences, refuse_other_number, tolerated, versions
from perdure.agent.law_of_run import law_fingerprint
from perdure.agent.life import Life
from perdure.agent.prepare import Ready, prepare
from perdure.agent.prices import refuse_unpriced
from perdure.agent.run.check import check_kinds, check_stages, redo, refuse_redo, remove_redone
from perdure.agent.run.event import Event
from perdure.agent.run.events import SCHEMA, Resumed, Started
from perdure.agent.run.folder import RunFolder, check_free, create, open_folder, read_json, write_json
from perdure.agent.run.interrupt import Interrupt
from perdure.agent.run.lines import ABOUT_A_LINE, to_json
from perdure.agent.run.log import RunLogger, View
from perdure.agent.run.record import read_begun, read_record
from perdure.agent.run.state import RunState
from perdure.agent.worlds.base_prompts import probe_of, reads_probe
from perdure.agent.worlds.contract import World
from perdure.agent.worlds.registry import make_world
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.budget.files import has_links
from perdure.budget.monitor import Monitor
from perdure.curriculum.file.code import code_hashes
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.tracking import Tracker, refuse_missing
from perdure.eval.scorecard import Scorecard


def start(
    curriculum: Curriculum,
    path: Path,
    view: View,
    *,
    strict: bool = False,
    make: Callable[[Curriculum], World] = make_world,
) -> Life:
    """A new run in a new folder at `path`; `strict` as in `Life`, and `make` gives the world, whose policy is the
    base.

    Raises:
        ConfigError: `strict`, and there is nothing that it could be about.
        PerdureError: whatever is wrong with the data, the settings, the benchmarks, the model or the folder.
    """
    ranks.told(lambda: check_free(path))
    refuse_several(curriculum)
    refuse_missing(curriculum.trackers)
    if strict:
        refuse_unpriced(curriculum)
    ready = prepare(curriculum, view, make)
    started = _started(path.name, ready, strict)
    _refuse_split(started)
    ranks.told(lambda: create(path, description(started)))
    folder = RunFolder(path)
    logger = RunLogger(folder, view)
    logger.log(started)
    return replace(_life(ready, folder, logger), strict=strict)


def resume(
    path: Path, view: View, *, redo_from: int | None = None, tracking: Sequence[str | Tracker] | None = None
) -> Life:
    """The run in an existing folder, from where it stopped or from stage `redo_from`; strict if it was started so.

    `tracking` replaces that of the run, from now on: where a run is sent does not change what it is.

    Raises:
        RunError: no run there, a damaged one, or what it was begun with is no longer the same (the difference is
            named); see `perdure.agent.differences`.
        PerdureError: as `start`.
    """
    folder = open_folder(path)
    check_kinds(folder)
    state, events = ranks.told(lambda: read_record(folder) if folder.journal.exists() else (RunState(), []))
    begun, curriculum = read_begun(folder, events)
    if tracking is not None:
        curriculum = curriculum.model_copy(update={"tracking": list(tracking)})
    refuse_several(curriculum)
    refuse_missing(curriculum.trackers)
    before = description(begun)
    refuse_differences(before, {"curriculum": curriculum.model_dump(mode="json"), "versions": versions()})
    refuse_other_number(before, folder.path)
    if redo_from is None:
        ranks.told(lambda: _checked(folder, curriculum, state, events))
    else:
        ranks.told(lambda: refuse_redo(folder, curriculum, state, redo_from))
    ready = prepare(curriculum, view)
    now = _started(begun.run, ready, begun.strict)
    _refuse_split(now)
    found = _known_to(begun, now)
    refuse_differences(before, found)
    if redo_from is not None:  # nothing is removed before all that refuses has been asked
        state, redone = ranks.told(lambda: redo(folder, state, redo_from))
        ranks.told(lambda: _checked(folder, curriculum, state, [*events, redone]))
    if tracking is not None and ranks.is_main():
        write_json(folder.description, read_json(folder.description) | {"curriculum": now.curriculum})
    logger = RunLogger(folder, view)
    edited = tuple(name for name, stamp in (begun.code or {}).items() if (now.code or {}).get(name) != stamp)
    resumed = Resumed(edited=edited, differs=tolerated(before, found))
    logger.log(now if logger.state.status == "empty" else resumed)
    return replace(_life(ready, folder, logger), strict=begun.strict)


def _checked(folder: RunFolder, curriculum: Curriculum, state: RunState, events: Sequence[Event]) -> None:
    """Remove what is to be run again, and refuse stages that are damaged."""
    remove_redone(folder, [stage.name for stage in curriculum.stages], events)
    check_stages(folder, curriculum, state)


def _known_to(begun: Started, now: Started) -> dict[str, Any]:
    """The description of the run as it is now, as far as its journal said it when it began; code may be edited."""
    untold = ("code",) if begun.probe is not None else ("code", "probe")  # older journals do not say it
    return {name: value for name, value in description(now).items() if name not in untold}


def refuse_several(curriculum: Curriculum) -> None:
    """Refuse to train by several processes together in a world that cannot.

    Raises:
        ConfigError: says how to start it.
    """
    if ranks.count() > 1 and not curriculum.spec.several_processes:
        raise ConfigError(
            f"{ranks.count()} processes were started, and the {curriculum.world} world trains in one: start it by "
            "`perdure run FILE`, without `torchrun` or `accelerate launch`"
        )


def _refuse_split(started: Started) -> None:
    """Refuse to train where processes have read other data or loaded other weights. Raises RunError."""
    for name, value in (*sorted(started.data.items()), ("the base", started.base_sha256)):
        ranks.same(value, f"the SHA-256 of {name}")


def _started(run: str, ready: Ready, strict: bool) -> Started:
    """The journal's first event."""
    world = ready.world
    return Started(
        schema=SCHEMA,
        run=run,
        tasks=tuple(task.name for task in ready.tasks),
        benchmarks=tuple(benchmark.title for benchmark in ready.curriculum.benchmarks),
        curriculum=ready.curriculum.model_dump(mode="json"),
        versions=versions(),
        resolved=dict(world.resolved),
        world=world.kind,
        base_id=world.base_id,
        base_sha256=world.policy.fingerprint(),
        data={task.name: task.fingerprint() for task in ready.tasks} | ready.benchmarks.fingerprints,
        law_sha256=None if ready.law is None else law_fingerprint(ready.law),
        strict=strict,
        code=code_hashes(ready.curriculum) or None,
        probe=probe_of(ready.curriculum),
    )


def description(started: Started) -> dict[str, Any]:
    """The content of `run.json`: all that must be the same when the run is resumed."""
    return {name: value for name, value in to_json(started).items() if name not in (*ABOUT_A_LINE, "schema")}


def _monitor(ready: Ready) -> Monitor:
    return Monitor(
        ready.curriculum.budget,
        ready.world.measure,
        ready.law,
        probe=reads_probe(ready.curriculum),
        other_base=ready.law_of_other_base,
        other_probe=ready.law_of_other_probe,
    )


def _life(ready: Ready, folder: RunFolder, logger: RunLogger) -> Life:
    curriculum, world = ready.curriculum, ready.world
    if ready.law is not None and ready.law_of_other_base:
        logger.say(
            f"budget.law: {curriculum.budget.law} was fitted on another base ({ready.law.kind}); a law of the generic "
            "probe carries over better than one of the task, and less well than to its own base"
        )
    if not ranks.told(lambda: has_links(folder.path)):
        logger.say(
            f"the file system of {folder.path} has no hard links: a stage's policy, its checkpoint and its last good "
            "state take a file each, also where their weights are the same"
        )
    return Life(
        curriculum=curriculum,
        tasks=ready.tasks,
        world=world,
        monitor=_monitor(ready),
        scorecard=_scorecard(ready, folder.path),
        strategy=ready.strategy,
        folder=folder,
        logger=logger,
        interrupt=Interrupt(),
    )


def _scorecard(ready: Ready, folder: Path) -> Scorecard:
    """The scorecard; where an answer is one step, asking fewer saves nothing, and `items: auto` asks all."""
    curriculum = ready.curriculum
    evaluation = curriculum.evaluation
    if evaluation.items == "auto" and curriculum.spec.one_step_answers:
        evaluation = evaluation.model_copy(update={"items": "all"})
    return Scorecard(ready.tasks, ready.benchmarks, evaluation, folder, seed=curriculum.seed)
