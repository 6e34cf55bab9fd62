"""`perdure validate FILE`: says that a curriculum can be run, or every fault with its place."""

import json
from collections.abc import Sequence
from typing import Any

import typer

from perdure.cli.console import json_text, phase_status, say
from perdure.cli.errors import USER
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.code import import_faults, unseen_code
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum, read_curriculum
from perdure.curriculum.messages import show_path
from perdure.eval.look_up import look_up


def validate_command(file: str, overrides: Sequence[str], as_json: bool, import_code: bool) -> None:
    """Print a good curriculum in one line; with `as_json`, resolved, or its faults as `{"errors": [...]}`.

    No code that the file names is executed, unless `import_code`.

    Raises:
        CurriculumError: the faults, without `as_json`.
        Exit: with 1, where they were printed as JSON.
    """
    try:
        read = read_curriculum(file, overrides)
        if import_code:
            _import(read)
        with phase_status() as show:
            show("looking up what the file names")
            unseen = look_up(read)
    except CurriculumError as error:
        if not as_json:
            raise
        print(json.dumps({"errors": [_as_dict(fault) for fault in error.faults]}, indent=2))
        raise typer.Exit(USER) from None
    if as_json:
        print(json_text(read.curriculum.model_dump(mode="json")))
    else:
        say(_summary(read))
    code = [] if import_code else unseen_code(read.curriculum)
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
    methods = dict.fromkeys(method for stage in stages for method in candidate_methods(curriculum, stage))
    parts = [
        f"{len(stages)} stage{'s' if len(stages) > 1 else ''} ({', '.join(stage.name for stage in stages)})",
        f"methods possible: {', '.join(methods)}",
        f"budget: {budget.kl:g} nats {curriculum.spec.nouns.per(budget.unit)} ({', '.join(budget.enforced)})",
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
