"""`perdure validate FILE`: says that a curriculum can be run, or every fault with its place."""

import json
from collections.abc import Sequence
from typing import Any

import typer

from perdure.cli.errors import USER, printable
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum, read_curriculum
from perdure.curriculum.messages import show_path


def validate_command(file: str, overrides: Sequence[str], as_json: bool) -> None:
    """Print a good curriculum in one line; with `as_json`, resolved, or its faults as `{"errors": [...]}`.

    Raises:
        CurriculumError: the faults, without `as_json`.
        Exit: with 1, where they were printed as JSON.
    """
    if not as_json:
        print(printable(_summary(_read(file, overrides))))
        return
    try:
        print(_read(file, overrides).curriculum.model_dump_json(indent=2))
    except CurriculumError as error:
        print(json.dumps({"errors": [_as_dict(fault) for fault in error.faults]}, indent=2))
        raise typer.Exit(USER) from None


def _read(file: str, overrides: Sequence[str]) -> ReadCurriculum:
    """The curriculum; a strategy of the user's own is made once, to check it."""
    read = read_curriculum(file, overrides)
    if read.curriculum.strategy.type == "python":
        from perdure.agent.strategies.python import check_strategy

        check_strategy(read)
    return read


def _summary(read: ReadCurriculum) -> str:
    """`demo: 3 stages (…); methods possible: …; benchmarks: …`."""
    curriculum = read.curriculum
    stages, budget = curriculum.stages, curriculum.budget
    methods = dict.fromkeys(method for stage in stages for method in candidate_methods(curriculum, stage))
    parts = [
        f"{len(stages)} stage{'s' if len(stages) > 1 else ''} ({', '.join(stage.name for stage in stages)})",
        f"methods possible: {', '.join(methods)}",
        f"budget: {budget.kl:g} nats a {budget.unit} ({', '.join(budget.enforced)})",
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
