"""What there is to learn: the one contract that task sources fill and that updates, scorecards and monitors read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Item:
    """One thing to do.

    `prompt` is text or chat messages in the language world, an observation elsewhere. `answer` is the reference that
    a reward compares with, `demonstration` one full response to imitate; either may be missing. `columns` holds
    everything else the source knows of the item; a reward sees it.
    """

    prompt: Any
    answer: str | None = None
    demonstration: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


class Reward(Protocol):
    """Scores responses: one figure an item, `None` where the reward does not apply."""

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]: ...


@dataclass(frozen=True)
class Task:
    """Items to train on, other items to be examined on, and a reward (`None`: it can only be imitated)."""

    name: str
    train: tuple[Item, ...]
    heldout: tuple[Item, ...]
    reward: Reward | None = None

    @property
    def has_demonstrations(self) -> bool:
        """True if every training item can be imitated, be it a writer's who depends on the base (column `writer`)."""
        return bool(self.train) and all(
            item.demonstration is not None or item.columns.get("writer") == "oracle" for item in self.train
        )

    def fingerprint(self) -> str:
        """SHA-256 of every item; equal for equal data, whatever file it came from."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = sha256()
        for item in (*self.train, None, *self.heldout):
            row = None if item is None else [item.prompt, item.answer, item.demonstration, dict(item.columns)]
            digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
        return digest.hexdigest()
