"""The forgetting law that a curriculum names, found, read and checked before anything is trained."""

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Protocol

from perdure.budget.errors import ConfigError
from perdure.budget.law.saved import Law, load_law
from perdure.budget.law.shipped import law_path
from perdure.curriculum.schema import Curriculum


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
    for what, fitted, here in (("world", law.world, world.kind), ("base", law.base, world.base_id)):
        if fitted != here:
            raise ConfigError(
                f"budget.law: {name} was fitted on the {what} {fitted}, and this curriculum's {what} is {here}: its "
                "figures would mean nothing here. Fit a law on runs of this base (perdure law RUN… --save FILE), or "
                "leave budget.law out"
            )
    return law


def fingerprint(law: Law) -> str:
    """SHA-256 of all that a law says, so that a resumed run notices another one."""
    return sha256(json.dumps(asdict(law), sort_keys=True).encode()).hexdigest()
