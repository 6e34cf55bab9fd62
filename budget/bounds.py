"""Upper bounds of the numbers in a curriculum: beyond them a run can only fail or never end. Each says why.

The lower bound of a number is its field's. Infinity and NaN are refused everywhere (`Frozen`).
"""

from typing import Annotated, Any

from annotated_types import Le
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

MAX_FLOAT = 1e306
MAX_WHOLE = 2**63 - 1
"""The largest numbers in settings of any shape: JSON and other programs read no larger ones."""

Steps = Annotated[int, Le(10**8)]
"""Optimiser steps: three years at one a second, more than a day at a thousand."""

Epochs = Annotated[float, Le(10**6)]
"""Passes over the data: as many steps, and more, even of the smallest data."""

Items = Annotated[int, Le(10**7)]
"""Items, prompts or images: all are held in memory, at a kilobyte or more each."""

Batch = Annotated[int, Le(10**6)]
"""Sequences or images computed at once."""

Samples = Annotated[int, Le(10**4)]
"""Answers a prompt: pass@k is measured up to some thousand."""

Tokens = Annotated[int, Le(2**24)]
"""Tokens of a text: longer than the context of any model."""

TokenId = Annotated[int, Le(2**24)]
"""The number of a token: larger than any vocabulary."""

Rank = Annotated[int, Le(2**14)]
"""Rank of an update: as wide as the widest layers of open models."""

Units = Annotated[int, Le(2**15)]
"""Units of a layer."""

Threads = Annotated[int, Le(1024)]
"""CPU threads or processes: more than any machine has cores, and fewer than would exhaust one."""

Level = Annotated[int, Le(1000)]
"""Examples in a prompt, levels of difficulty, values of an axis: numbers that a person counts."""

Rate = Annotated[float, Le(MAX_FLOAT)]
"""A learning rate: the cap holds whatever the steps are, and weights that overflow end the stage."""

Weight = Annotated[float, Le(10**9)]
"""The weight of a term, a scale, a tolerance, a threshold or a cap: beside more, float32 loses every other term."""

Points = Annotated[float, Le(100)]
"""Hundredths of a score from 0 to 1."""

Nats = Annotated[float, Le(MAX_FLOAT)]
"""A cap on the KL: one that never binds, and a hundred of which still add up to a finite number."""

Seconds = Annotated[float, Le(10**9)]
"""Seconds: thirty years."""


def _usable(temperature: float) -> float:
    if temperature and not 1e-3 <= temperature <= 1000:
        raise PydanticCustomError("rule", "{message}", {"message": "must be 0, or from 0.001 to 1000", "at": ()})
    return temperature


Temperature = Annotated[float, AfterValidator(_usable), Le(1000)]
"""Logits are divided by it: nearer to 0 they overflow, and far above 1 every answer is as likely."""


def number_faults(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """The numbers inside a value, of any shape, that no setting can have: their paths, and the rule."""
    if isinstance(value, dict):
        return [fault for key, inner in value.items() for fault in number_faults(inner, (*path, key))]
    if isinstance(value, list):
        return [fault for index, inner in enumerate(value) for fault in number_faults(inner, (*path, index))]
    if isinstance(value, float) and not abs(value) <= MAX_FLOAT:
        return [(path, "must be a finite number")]
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        return [(path, f"must be a whole number of at most {MAX_WHOLE}")]
    return []
