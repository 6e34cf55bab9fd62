"""The forgetting law that a curriculum names, found, read and checked before anything is trained."""

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Protocol

from perdure.budget.errors import ConfigError
from perdure.budget.law.saved import Law, load_law
from perdure.budget.law.shipped import law_path
from perdure.curriculum.schema import Curriculum

DIGITS = 12
"""How much of a base's hash a message shows."""


class Identified(Protocol):
    """The part of a world that says what a law of it must have been fitted on."""

    @property
    def kind(self) -> str: ...

    @property
    def base_id(self) -> str: ...


def law_for(curriculum: Curriculum, world: Identified) -> Law | None:
    """The law of `budget.law`; nothing where none is named.

    Raises:
        ConfigError: no such file, a damaged one, or a law that was fitted in another world or on another base.
    """
    name = curriculum.budget.law
    if name is None:
        return None
    law = load_law(law_path(name))
    remedy = (
        "its figures would mean nothing here. Fit a law on runs of this base (perdure law RUN… --save FILE), or leave "
        "budget.law out"
    )
    if law.world != world.kind:
        raise ConfigError(
            f"budget.law: {name} was fitted in the {law.world} world, and this curriculum's model is of the "
            f"{world.kind} world: {remedy}"
        )
    if law.base != world.base_id:
        raise ConfigError(
            f"budget.law: {name} was fitted on another base. Its base is {law.base[:DIGITS]} ({law.runs} runs by "
            f"{', '.join(law.methods)}; forgetting of {', '.join(law.benchmarks)}), and this curriculum's base, "
            f"{curriculum.model.title}, is {world.base_id[:DIGITS]}: {remedy}"
        )
    return law


def fingerprint(law: Law) -> str:
    """SHA-256 of all that a law says, so that a resumed run notices another one."""
    return sha256(json.dumps(asdict(law), sort_keys=True).encode()).hexdigest()
