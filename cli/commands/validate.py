"""`perdure validate FILE`: says that a curriculum or a sweep can be run, or every fault with its place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from perdure.budget.errors import ConfigError
from perdure.cli.console import json_text, phase_status, say
from perdure.cli.errors import USER
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.code import import_faults, unseen_code
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum, read_curriculum
from perdure.curriculum.messages import show_path
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import is_sweep, read_sweep
from perdure.curriculum.tracking import refuse_missing
from perdure.eval.look_up import LookUp, look_up


def validate_command(file: str, overrides: Sequence[str], as_json: bool, import_code: bool) -> None:
    """Print a good curriculum in one line; with `as_json`, resolved, or its faults as `{"errors": [...]}`.

    No code that the file names is executed, unless `import_code`.

    Raises:
        CurriculumError: the faults, without `as_json`.
        ConfigError: a sweep with `import_code`, or the package of a tracker is missing.
        Exit: with 1, where they were printed as JSON.
    """
    if is_sweep(file) and import_code:
        raise ConfigError(f"{file} is a sweep; --import-code goes with the curriculum that it varies")
    try:
        with phase_status(lines=False) as show:
            show("looking up what the file names")
            found = _sweep(file, overrides) if is_sweep(file) else _curriculum(file, overrides, import_code)
    except CurriculumError as error:
        if not as_json:
            raise
        print(json.dumps({"errors": [_as_dict(fault) for fault in error.faults]}, indent=2))
        raise typer.Exit(USER) from None
    if as_json:
        print(json_text(found.resolved))
    else:
        say(found.summary)
    _say_unseen([] if import_code else found.code, found.unseen)


@dataclass(frozen=True)
class Validated:
    """A good file: in one line, resolved, and the code and the data in it that were not looked at."""

    summary: str
    resolved: dict[str, Any]
    code: Sequence[str]
    unseen: Sequence[str]


def _curriculum(file: str, overrides: Sequence[str], import_code: bool) -> Validated:
    read = read_curriculum(file, overrides)
    refuse_missing(read.curriculum.trackers)
    if import_code:
        _import(read)
    unseen = look_up(read)
    return Validated(_summary(read), read.curriculum.model_dump(mode="json"), unseen_code(read.curriculum), unseen)


def _sweep(file: str, overrides: Sequence[str]) -> Validated:
    """A sweep, every cell of which is read and looked up."""
    look = LookUp()
    read = read_sweep(file, overrides, look_up=look)
    curricula = [cell.curriculum for cell in read.cells if cell.seed == read.cells[0].seed]
    seeds = list(dict.fromkeys(cell.seed for cell in read.cells))
    axes = {axis.title: axis.choices for axis in read.sweep.axes} | {"seeds": seeds}
    listed = " × ".join(f"{name} ({len(values)}: {', '.join(map(str, values))})" for name, values in axes.items())
    methods = dict.fromkeys(one for each in curricula for one in _methods(each))
    cells = f"{len(read.cells)} cell{'s' if len(read.cells) > 1 else ''}"
    together = f"{listed}; zipped" if read.sweep.combine == "zip" else listed
    return Validated(
        f"{read.name}: a sweep of {read.sweep.curriculum}; {cells}: {together}; methods possible: {', '.join(methods)}",
        {"sweep": read.name, "curriculum": read.sweep.curriculum, "cells": len(read.cells), **axes},
        list(dict.fromkeys(named for each in curricula for named in unseen_code(each))),
        list(dict.fromkeys(words for each in curricula for words in look(each).unseen)),
    )


def _methods(curriculum: Curriculum) -> list[str]:
    """The methods that the stages may come to use."""
    return list(dict.fromkeys(one for stage in curriculum.stages for one in candidate_methods(curriculum, stage)))


def _say_unseen(code: Sequence[str], unseen: Sequence[str]) -> None:
    if code:
        say(f"not looked at: the code of {_some(code)}, which --import-code would execute", error=True)
    if unseen:
        say(f"not looked at: {_some(unseen)}", error=True)


def _some(words: Sequence[str]) -> str:
    """The first three, and `…` for others."""
    return f"{', '.join(words[:3])}{' …' if len(words) > 3 else ''}"


def _import(read: ReadCurriculum) -> None:
    """Import the user's code that a file names, and make a strategy of the user's own, as a run does."""
    faults = import_faults(read.document, read.curriculum)
    if faults:
        raise CurriculumError(faults)
    if read.curriculum.strategy.type == "python":
        from perdure.agent.strategies.python import check_strategy

        check_strategy(read)


def _summary(read: ReadCurriculum) -> str:
    """`demo: 3 stages (…); methods possible: …; benchmarks: …`."""
    curriculum = read.curriculum
    stages, budget = curriculum.stages, curriculum.budget
    at = f" at {curriculum.kl_settings}" if curriculum.kl_settings else ""
    parts = [
        f"{len(stages)} stage{'s' if len(stages) > 1 else ''} ({', '.join(stage.name for stage in stages)})",
        f"methods possible: {', '.join(_methods(curriculum))}",
        f"budget: {budget.kl:g} nats {curriculum.spec.nouns.per(budget.unit)}{at} ({', '.join(budget.enforced)})",
        f"benchmarks: {', '.join(one.title for one in curriculum.benchmarks) or 'none'}",
    ]
    return f"{read.source.stem}: {'; '.join(parts)}"


def _as_dict(fault: Fault) -> dict[str, Any]:
    place = fault.place
    return {
        "file": place.source,
        "line": place.line,
        "column": place.column,
        "path": show_path(fault.path),
        "message": fault.message,
    }
