"""Images changed in a fixed way, to test the base under further conditions.

The seed of a random change is made of the image, which therefore always changes in the same way.
Axes: N images, P = 784 pixels.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perdure.curriculum.worlds.vision.images.rules import Variant

Image = NDArray[np.uint8]
Generator: TypeAlias = np.random.RandomState

SHIFT_PIXELS = 2
"""The shift of `shifted`, in pixels."""

NOISE_DEVIATION = 64.0
"""Standard deviation of `noisy`, of 255."""


def varied(images_NP: NDArray[np.uint8], variant: Variant) -> NDArray[np.uint8]:
    """The images under a variant: shape (N, 784)."""
    if variant == "none" or not len(images_NP):
        return images_NP
    change, generator = VARIANTS[variant], np.random.RandomState()
    changed = []
    for image in images_NP:
        generator.seed(int.from_bytes(sha256(image.tobytes()).digest()[:4]))
        changed.append(change(image.reshape(28, 28), generator).reshape(-1))
    return np.stack(changed)


def shifted(image: Image, generator: Generator) -> Image:
    """Moved by two pixels up, down, left or right; background comes in."""
    axis, step = ((0, SHIFT_PIXELS), (0, -SHIFT_PIXELS), (1, SHIFT_PIXELS), (1, -SHIFT_PIXELS))[generator.randint(4)]
    moved = np.roll(image, step, axis)
    edge = slice(None, step) if step > 0 else slice(step, None)
    moved[(edge, slice(None)) if axis == 0 else (slice(None), edge)] = 0
    return moved


def noisy(image: Image, generator: Generator) -> Image:
    """Gaussian noise on every pixel, cut off at black and white."""
    noise = generator.normal(0.0, NOISE_DEVIATION, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def dimmed(image: Image, generator: Generator) -> Image:
    """Half as bright."""
    return image // np.uint8(2)


def inverted(image: Image, generator: Generator) -> Image:
    """Black for white."""
    return np.uint8(255) - image


VARIANTS: dict[Variant, Callable[[Image, Generator], Image]] = {
    "shifted": shifted,
    "noisy": noisy,
    "dimmed": dimmed,
    "inverted": inverted,
}
