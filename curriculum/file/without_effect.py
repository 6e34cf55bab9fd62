"""Refuses settings that have no effect because of another setting."""

from collections.abc import Callable
from typing import Any

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.messages import Path

PROBE: Path = ("budget", "probe")
ENFORCE: Path = ("budget", "enforce")
ALLOCATION: Path = ("budget", "allocation")
CONTROLLER: Path = ("budget", "penalty", "controller")
SCHEDULE: Path = ("train", "lr_scheduler_type")
WARMUP: Path = ("train", "warmup_steps")
ITEMS: Path = ("evaluation", "items")

EffectRule = tuple[Path, tuple[Path, ...], Callable[..., bool], str]
"""A setting, the switches that it depends on, a test of their values, and the reason if it fails."""


def _lists(enforce: Any, name: str) -> bool:
    """True if `enforce`, one name or a list, has this one."""
    return name in (enforce if isinstance(enforce, list) else [enforce])


EFFECT_RULES: tuple[EffectRule, ...] = (
    (
        ("budget", "penalty"),
        (ENFORCE,),
        lambda enforce: _lists(enforce, "penalty"),
        "`enforce` does not list `penalty`",
    ),
    (
        ("budget", "recover"),
        (ENFORCE,),
        lambda enforce: _lists(enforce, "recover"),
        "`enforce` does not list `recover`",
    ),
    (
        ("budget", "generic"),
        (PROBE, ENFORCE),
        lambda probe, enforce: probe is not False or _lists(enforce, "recover"),
        "it is for the generic probe, which `probe: false` leaves out, and for `enforce: recover`",
    ),
    (
        ("budget", "fraction"),
        (ALLOCATION,),
        lambda allocation: allocation == "remaining",
        "it is for `allocation: remaining`",
    ),
    (
        ("budget", "penalty", "rate"),
        (CONTROLLER,),
        lambda controller: controller != "proportional",
        "it is for `controller: dual_ascent`",
    ),
    (
        ("budget", "penalty", "horizon"),
        (CONTROLLER,),
        lambda controller: controller == "proportional",
        "it is for `controller: proportional`",
    ),
    (
        WARMUP,
        (WARMUP, SCHEDULE),
        lambda warmup, schedule: not warmup or schedule != "constant",
        "`lr_scheduler_type: constant` has no warm-up; `constant_with_warmup` has",
    ),
    (
        ("evaluation", "precision"),
        (ITEMS,),
        lambda items: items != "all",
        "`items: all` asks every item",
    ),
    (
        ITEMS,
        (ITEMS, ("evaluation", "temperature")),
        lambda items, temperature: items != "adaptive" or not temperature,
        "sampled answers (`temperature` above 0) are asked in full",
    ),
)


def without_effect_faults(document: Document) -> list[Fault]:
    """Every setting that has no effect because of what the file says, or leaves out, elsewhere.

    Nothing is refused if a switch comes from a `--set` or a sweep: a file may keep its `penalty` while
    `--set budget.enforce=observe` turns it off, and a sweep may cross settings that do not go together.
    """
    return [
        Fault(document.place(path, at_key=True), path, f"has no effect here: {reason}")
        for path, switches, matters, reason in EFFECT_RULES
        if document.get(path) not in (None, {}) and all(_is_the_files_own(one, document) for one in switches)
        if not matters(*map(document.get, switches))
    ]


def _is_the_files_own(path: Path, document: Document) -> bool:
    """True if a value is written in the file, or absent."""
    return path not in document.values or document.values[path].source == document.place(()).source
