"""Whether a step of a method that samples holds whole groups of answers, as TRL asks."""

from collections.abc import Iterator, Mapping
from typing import Any

from perdure.budget import ranks
from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.messages import Path
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.methods import Method

LEFT_TO_TRL = ("generation_batch_size", "steps_per_generation")


def group_faults(document: Document, curriculum: Curriculum) -> Iterator[Fault]:
    """One fault for each method that a stage may come to use and that TRL would refuse; a method is named once.

    TRL refuses the same (`GRPOConfig`), but only where it is imported, which a sweep does in its cells.
    """
    told: set[str] = set()
    for index, stage in enumerate(curriculum.stages):
        for name in candidate_methods(curriculum, stage):
            method = curriculum.spec.method(name)
            settings = settings_for(method, curriculum.train, stage.train).objective
            message = torn_groups(method, settings, ranks.count())
            if message is not None and message not in told:
                told.add(message)
                path: Path = ("stages", index, "train")
                yield Fault(document.place(path), path, message)


def torn_groups(method: Method, settings: Any, processes: int) -> str | None:
    """Why the answers of a step are no whole groups; `None`: they are, or the method samples none."""
    defaults: Mapping[str, Any] = method.objective.defaults
    if "num_generations" not in defaults or any(key in settings.trl for key in LEFT_TO_TRL):
        return None

    def value(key: str, default: Any) -> Any:
        typed = getattr(settings, key, None)
        return typed if typed is not None else settings.trl.get(key, default)

    group, rows = value("num_generations", defaults["num_generations"]), value("per_device_train_batch_size", None)
    if rows is None:
        return None  # as many as `group` asks for
    answers = rows * value("gradient_accumulation_steps", 1) * processes
    if answers % group == 0:
        return None
    return (
        f"`{method.name}` samples {answers} answers a step (per_device_train_batch_size times "
        f"gradient_accumulation_steps times processes), which are no whole groups of num_generations: {group}; "
        f"set one of them for `{method.objective.name}`, so that the first is a multiple of the second"
    )
