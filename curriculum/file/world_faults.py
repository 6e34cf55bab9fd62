"""Settings that a file gives and that its world does not have: refused, so that none is there in vain."""

from collections.abc import Iterator

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault, Path, did_you_mean, one_of, show_value
from perdure.curriculum.train import SECTIONS
from perdure.curriculum.worlds.contract import METHODS, OTHER
from perdure.curriculum.worlds.registry import World

ONE_LABEL = "a response is one label"

FOREIGN: dict[World, dict[str, str]] = {
    "language": {"redraw": "this setting is of the vision world; demonstrations in text are written once"},
    "vision": {
        "trl": "TRL trains language models, and this is a classifier of images",
        "max_completion_length": ONE_LABEL,
        "max_length": ONE_LABEL,
        "temperature": "labels are sampled at temperature 1",
        "loss_type": "every step is on fresh samples, where TRL's losses are the same",
        "gradient_accumulation_steps": "raise `per_device_train_batch_size` instead",
        "save_steps": "an update takes seconds, and one that was killed begins again",
        "sft_batch_size": "both terms are of the same images",
        "top_k": "there are ten labels, and the entropy is that of all of them",
    },
}
"""Settings under `train` that a world does not have, and what there is to say to that."""

VISION_CHOICES: dict[str, tuple[str, ...]] = {
    "lr_scheduler_type": ("constant", "constant_with_warmup", "linear", "cosine"),
    "scale_rewards": ("none", "group"),
}
"""The values that the vision world knows of settings whose values TRL or transformers list."""

ELSEWHERE: dict[World, dict[Path, str]] = {
    "language": {},
    "vision": {
        ("budget", "max_completion_length"): ONE_LABEL,
        ("evaluation", "max_completion_length"): ONE_LABEL,
        ("evaluation", "batch_size"): "all images are answered at once",
    },
}
"""The same of other sections."""


def world_of(document: Document) -> World | None:
    """The world of a file; `None` where the kind of its model is unknown."""
    worlds: dict[object, World] = {None: "language", "causal_lm": "language", "mlp": "vision"}
    kind = document.get(("model", "type"))
    return worlds.get(kind) if kind is None or isinstance(kind, str) else None


def is_foreign(key: str, document: Document) -> bool:
    """Whether the file's world lacks the setting, or the section of a method, of this name."""
    world = world_of(document)
    return world is not None and _reason(key, world) is not None


def _reason(key: str, world: World) -> str | None:
    """Why a world lacks a key of `train`, or `None` where it has it."""
    if key in SECTIONS and key not in METHODS[world]:
        listed = ", ".join(f"`{method}`" for method in METHODS[world])
        return f"this method is of the {OTHER[world]} world; here there are {listed}"
    return FOREIGN[world].get(key)


def world_faults(document: Document) -> list[Fault]:
    """Every setting in the file that the file's world does not have, and every value that it does not know."""
    world = world_of(document)
    if world is None:
        return []
    faults = [
        _fault(document, path, reason) for path, reason in ELSEWHERE[world].items() if document.get(path) is not None
    ]
    for section in _train_sections(document):
        for key, value in document.get(section).items():
            path = (*section, key)
            reason = _reason(key, world)
            if reason is not None and value not in (None, {}):
                faults.append(_fault(document, path, reason))
            elif world == "vision" and key in VISION_CHOICES and value is not None:
                faults += _choice_faults(document, path, value, VISION_CHOICES[key])
    return faults


def _train_sections(document: Document) -> Iterator[Path]:
    """The path of every map with train settings."""
    stages = document.get(("stages",))
    wholes: list[Path] = [("train",)]
    wholes += [("stages", index, "train") for index in range(len(stages) if isinstance(stages, list) else 0)]
    for path in [one for whole in wholes for one in (whole, *((*whole, method) for method in SECTIONS))]:
        if isinstance(document.get(path), dict):
            yield path


def _fault(document: Document, path: Path, reason: str) -> Fault:
    return Fault(document.place(path, at_key=True), path, f"has no meaning with this model: {reason}")


def _choice_faults(document: Document, path: Path, value: object, choices: tuple[str, ...]) -> Iterator[Fault]:
    if value not in choices:
        message = f"must be {one_of(choices)}; got {show_value(value)}{did_you_mean(value, choices)}"
        yield Fault(document.place(path), path, message)
