"""The prompt of the vision world: an image, and the bit that says which of the two tasks is asked.

Axes: N images, F = 785 features, 784 pixels row by row and then the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = 784
"""28 rows of 28 pixels."""

DIGITS_BIT = 1
CLOTHES_BIT = -1
"""The bit, as in RL's Razor (arXiv 2509.04259): +1 for digits, -1 for clothes."""


def digest(pixels: bytes) -> str:
    """The SHA-256 of an image."""
    return sha256(pixels).hexdigest()


@dataclass(frozen=True)
class ImageObservation:
    """One image: 784 bytes from 0 (background) to 255, row by row, and the bit of its task.

    Its text names the pixels by their SHA-256, so that the fingerprints of different images differ. `identity` is that
    of the image as it was before a variant changed it, whatever is asked of it.

    Raises:
        ValueError: another number of pixels, or another bit.
    """

    pixels: bytes
    bit: int
    original: str | None = field(default=None, compare=False)

    @property
    def identity(self) -> str:
        """See `perdure.curriculum.task.question`."""
        return self.original or digest(self.pixels)

    def __post_init__(self) -> None:
        if len(self.pixels) != PIXELS:
            raise ValueError(f"an observation has {PIXELS} pixels; got {len(self.pixels)}")
        if self.bit not in (DIGITS_BIT, CLOTHES_BIT):
            raise ValueError(f"the bit of an observation is {DIGITS_BIT} or {CLOTHES_BIT}; got {self.bit}")

    def __repr__(self) -> str:
        return f"<image {digest(self.pixels)} bit {self.bit:+d}>"

    __str__ = __repr__


def inputs_of(images_NP: NDArray[np.uint8], bit: int) -> NDArray[np.float32]:
    """Images (N, 784) as inputs of a network (N, 785): pixels from 0 to 1, and the bit last."""
    return _inputs(images_NP, np.float32(bit))


def inputs_of_observations(observations: Sequence[ImageObservation]) -> NDArray[np.float32]:
    """Observations as inputs of a network: shape (N, 785)."""
    images_NP = np.frombuffer(b"".join(one.pixels for one in observations), np.uint8).reshape(-1, PIXELS)
    return _inputs(images_NP, np.fromiter((one.bit for one in observations), np.float32, len(observations)))


def _inputs(images_NP: NDArray[np.uint8], bits: Any) -> NDArray[np.float32]:
    inputs_NF = np.empty((len(images_NP), PIXELS + 1), np.float32)
    np.divide(images_NP, np.float32(255), out=inputs_NF[:, :PIXELS])
    inputs_NF[:, PIXELS] = bits
    return inputs_NF
