"""The generic probe of the vision world: noise under each bit that a base knows, on which drift is read without old
data.
"""

import numpy as np

from perdure.agent.seeds import derive
from perdure.curriculum.worlds.vision.images.observation import CLOTHES_BIT, DIGITS_BIT, PIXELS, ImageObservation

BITS = (DIGITS_BIT, CLOTHES_BIT)
"""The bits that every base is pretrained under."""

INK_ONE_IN = 3
"""One pixel in so many is not background, about as in images of digits and clothes: on noise that is much brighter than
any image the KL says less of what is forgotten."""


def generic_images(count: int, seed: int) -> list[ImageObservation]:
    """`count` images of independent pixels; the bits take turns.

    A pixel is background (0) or, once in `INK_ONE_IN`, uniform on 0 … 255. The images follow from the curriculum's
    seed alone, and fewer are the first of more.
    """
    generator = np.random.default_rng(derive(seed, "generic probe"))
    drawn_NP = generator.integers(0, 256 * INK_ONE_IN, (count, PIXELS), dtype=np.uint16)
    pixels_NP = np.where(drawn_NP < 256, drawn_NP, 0).astype(np.uint8)
    return [ImageObservation(row_P.tobytes(), BITS[index % len(BITS)]) for index, row_P in enumerate(pixels_NP)]
