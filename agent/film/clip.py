"""A clip: an answer that can be looked at, such as an episode. The world of a run makes it (`WorldSpec.film`)."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from perdure.curriculum.task import Item

Picture = NDArray[np.uint8]
"""Shape (H, W, 3)."""


@dataclass(frozen=True)
class Clip:
    """Pictures, and a caption for each; the last caption says how it ended."""

    pictures: tuple[Picture, ...]
    captions: tuple[str, ...]


class MakeClip(Protocol):
    """The function `WorldSpec.film`."""

    def __call__(self, policy: Any, item: Item, *, temperature: float, seed: int) -> Clip:
        """The policy's answer to an item.

        Raises:
            ConfigError: it cannot be drawn here.
        """
        ...
