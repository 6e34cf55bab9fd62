"""The generic probe of the vision world: noise under each bit that a base knows, on which drift is read without old
data.
"""

import numpy as np

from perdure.agent.seeds import derive
from perdure.curriculum.worlds.vision.images.observation import CLOTHES_BIT, DIGITS_BIT, PIXELS, ImageObservation

BITS = (DIGITS_BIT, CLOTHES_BIT)
"""The bits that every base is pretrained under."""


def generic_images(count: int, seed: int) -> list[ImageObservation]:
    """`count` images whose pixels are drawn from 0 … 255, uniform and independent; the bits take turns.

    They follow from the curriculum's seed alone, and fewer images are the first of more.
    """
    generator = np.random.default_rng(derive(seed, "generic probe"))
    pixels_NP = generator.integers(0, 256, (count, PIXELS), dtype=np.uint8)
    return [ImageObservation(row_P.tobytes(), BITS[index % len(BITS)]) for index, row_P in enumerate(pixels_NP)]
