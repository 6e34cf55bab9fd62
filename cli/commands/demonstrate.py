"""`perdure demonstrate FILE`: demonstrations by a teacher, whose answers the reward of a stage accepts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure.budget.errors import ConfigError
from perdure.budget.launchers import refuse_several
from perdure.cli.console import phase_status, say, silence_libraries
from perdure.cli.output import writing
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.registry import load, spec_of

KEY = "OPENAI_API_KEY"
"""The variable of the environment that holds an endpoint's key."""


@dataclass(frozen=True)
class DemonstrateCall:
    """The arguments of `perdure demonstrate`."""

    file: str
    overrides: Sequence[str]
    stage: str | None
    model: str | None
    endpoint: str | None
    output: Path | None
    num_generations: int
    max_completion_length: int
    temperature: float
    success: float
    timeout: float


def demonstrate_command(call: DemonstrateCall) -> None:
    """Ask the teacher, and say what was accepted.

    Raises:
        CurriculumError: the file's faults.
        ConfigError: no such stage, a world that has no teachers, a task without a reward, a bad endpoint.
        DataError: as `build_task`.
        ModelError: the model cannot be loaded, or the endpoint does not answer.
        RunError: the output is not this command's, or cannot be written.
    """
    refuse_several("demonstrate")
    curriculum = read_curriculum(call.file, call.overrides).curriculum
    number = _stage(curriculum, call.stage)
    spec = spec_of(curriculum.model.world)
    if spec.teacher is None:
        raise ConfigError(f"a teacher answers prompts of text; the {spec.name} world has none (`perdure list tasks`)")
    output = call.output or Path(f"{curriculum.stages[number].name}-demonstrations.jsonl")
    silence_libraries()
    from perdure.agent.demonstrate import Asked, demonstrate
    from perdure.agent.tasks import build_unexamined

    with phase_status() as show, writing(output):
        show("reading the data")
        task = build_unexamined(curriculum, number)
        show("preparing the teacher")
        make = load(spec.teacher)
        teacher = make(curriculum.model, call.model, call.endpoint, timeout=call.timeout, key=os.environ.get(KEY))
        asked = Asked(call.num_generations, call.max_completion_length, call.temperature, call.success)
        counts = demonstrate(task, teacher, asked, output, seed=curriculum.seed, show=show)
    say(
        f"{output}: {counts.accepted} answers that the reward accepts, to {counts.solved} of {counts.asked} prompts; "
        f"learn from it by `task: {{type: dataset, path: {output}}}`"
    )


def _stage(curriculum: Curriculum, name: str | None) -> int:
    names = [stage.name for stage in curriculum.stages]
    if name is None and len(names) > 1:
        raise ConfigError(f"the curriculum has {len(names)} stages; say which by --stage: {', '.join(names)}")
    if name is not None and name not in names:
        raise ConfigError(f"--stage {name!r}: no such stage{did_you_mean(name, names)}; there are {', '.join(names)}")
    return 0 if name is None else names.index(name)
