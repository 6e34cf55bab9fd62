"""Refuses settings that the world of a file does not have."""

from collections.abc import Iterator

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.messages import Path, did_you_mean, one_of, show_value
from perdure.curriculum.train import section_settings
from perdure.curriculum.worlds.contract import WorldSpec
from perdure.curriculum.worlds.registry import section_names, world_of_type, worlds, worlds_named, worlds_with

RUNG_SECONDS = ("strategy", "rung_seconds")
NO_CHECKPOINTS = (
    "its updates keep no checkpoints, so that a candidate makes its earlier steps again on the way to each rung; give "
    "`rungs` in steps"
)


def world_of(document: Document) -> WorldSpec | None:
    """The world of a file; `None` if the type of its model is unknown."""
    kind = document.get(("model", "type"))
    return world_of_type(kind) if kind is None or isinstance(kind, str) else None


def is_foreign(key: str, document: Document) -> bool:
    """True if the file's world lacks the setting, or the section of a method, of this name."""
    spec = world_of(document)
    return spec is not None and _reason((key,), spec) is not None


def _reason(keys: tuple[str, ...], spec: WorldSpec) -> str | None:
    """The reason why a world lacks a key of `train`, or of one of its sections; `None` if it has it."""
    *section, key = keys
    if not section and key in section_names():
        return None if key in spec.parts else _of_other_world(key, spec)
    if _has(spec, section, key):
        return None
    if key in spec.lacks:
        return spec.lacks[key]
    elsewhere = [name for name, other in worlds().items() if _has(other, section, key)]
    return f"this setting is of {worlds_named(elsewhere)}" if elsewhere else None


def _has(spec: WorldSpec, section: list[str], key: str) -> bool:
    classes = section_settings(spec, section[0]) if section else spec.settings
    return any(key in settings.model_fields for settings in classes)


def _of_other_world(name: str, spec: WorldSpec) -> str:
    others = worlds_with(name, besides=spec)
    return f"this method is of {others}; here there are {', '.join(f'`{one}`' for one in spec.parts)}"


def world_faults(document: Document) -> list[Fault]:
    """The settings of a file that its world does not have, and the values that it does not know."""
    spec = world_of(document)
    if spec is None:
        return []
    faults = [_fault(document, path, why) for path, why in spec.ignores.items() if document.get(path) is not None]
    if not spec.keeps_checkpoints and document.get(RUNG_SECONDS) is not None:
        faults.append(_fault(document, RUNG_SECONDS, NO_CHECKPOINTS))
    for path, within in _train_sections(document, spec):
        for key, value in document.get(path).items():
            reason = _reason((*within, key), spec)
            if reason is not None and value not in (None, {}):
                faults.append(_fault(document, (*path, key), reason))
            elif key in spec.choices and value is not None:
                faults += _choice_faults(document, (*path, key), value, spec.choices[key])
    return faults


def _train_sections(document: Document, spec: WorldSpec) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The path of every map of train settings, and the part of a method that it belongs to, if any."""
    stages = document.get(("stages",))
    wholes: list[Path] = [("train",)]
    wholes += [("stages", index, "train") for index in range(len(stages) if isinstance(stages, list) else 0)]
    for whole in wholes:
        for within in ((), *((name,) for name in spec.parts)):
            if isinstance(document.get((*whole, *within)), dict):
                yield (*whole, *within), within


def _fault(document: Document, path: Path, reason: str) -> Fault:
    return Fault(document.place(path, at_key=True), path, f"has no meaning with this model: {reason}")


def _choice_faults(document: Document, path: Path, value: object, choices: tuple[str, ...]) -> Iterator[Fault]:
    if value not in choices:
        message = f"must be {one_of(choices)}; got {show_value(value)}{did_you_mean(value, choices)}"
        yield Fault(document.place(path), path, message)
