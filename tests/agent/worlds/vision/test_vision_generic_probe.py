"""The generic probe: noise that follows from the seed, under both bits."""

import numpy as np

from perdure.agent.worlds.vision.generic_probe import generic_images


def test_the_bits_take_turns_and_the_pixels_are_uniform_noise() -> None:
    found = generic_images(101, seed=3)
    assert [one.bit for one in found] == [1, -1] * 50 + [1]
    pixels = np.frombuffer(b"".join(one.pixels for one in found), np.uint8)
    # 79,184 pixels: a uniform mean of 127.5 with a standard error of 73.9 / 281 = 0.26
    assert abs(pixels.mean() - 127.5) < 1.1
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_fewer_images_are_the_first_of_more_and_another_seed_has_others() -> None:
    assert generic_images(7, seed=3) == generic_images(20, seed=3)[:7]
    assert not set(generic_images(7, seed=3)) & set(generic_images(7, seed=4))
