"""Tasks for the world of one number (`tests/plugin/perdure_scalar/world.py`)."""

from collections.abc import Sequence
from typing import Any

from perdure.curriculum.task import Item, Task


def near(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """1 where the answer is reached."""
    return [float(completion == item.answer) for item, completion in zip(items, completions, strict=True)]


def scalar_task(name: str, answer: str, train: int = 2) -> Task:
    """`train` items to learn from, and two held out."""
    items = tuple(Item(f"{name} {number}", answer=answer, demonstration=answer) for number in range(train + 2))
    return Task(name, items[:train], items[train:], near)
