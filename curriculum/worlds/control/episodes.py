"""Episodes, and the text that stands for one where the language world has an answer."""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.curriculum.worlds.control.environments.contract import Observation


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode of T decisions. Two are equal that have the same `digest`.

    Attributes:
        observations: before each decision.
        actions: what was chosen, an index a dimension: shape (T, D).
        rewards: of each decision, shape (T,).
        steps: steps of the environment, of which a decision may have several.
        success: as the environment reports it; `None`: it does not.
        info: the environment's, of the last step.
        fault: why it ended before its time, if it did (`step 3: ValueError: …`); it then counts as failed.
    """

    observations: tuple[Observation, ...]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    steps: int
    success: bool | None
    info: dict[str, Any]
    fault: str | None = None

    @property
    def total(self) -> float:
        """The return: the sum of its rewards."""
        return float(self.rewards.sum())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what was seen and done."""
        found = sha256(self.actions.tobytes() + self.rewards.tobytes())
        for one in self.observations:
            found.update(one.content)
        return found.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Episode) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        return f"<episode {self.digest}>"

    __repr__ = __str__


def text_of(episode: Episode, reward: float) -> str:
    """An episode and its reward as one line of JSON."""
    found: dict[str, Any] = {
        "reward": reward,
        "return": round(episode.total, 6),
        "decisions": len(episode.actions),
        "steps": episode.steps,
    }
    return json.dumps(found | ({"fault": episode.fault} if episode.fault else {}))


def reward_in(text: str) -> float:
    """The reward in such a line.

    Raises:
        ValueError: it is no such line.
    """
    return float(json.loads(text)["reward"])
