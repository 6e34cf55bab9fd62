"""The generic probe: noise that follows from the seed, under both bits."""

import numpy as np

from perdure.agent.worlds.vision.generic_probe import generic_images


def test_the_bits_take_turns_and_a_third_of_the_pixels_is_uniform_noise() -> None:
    found = generic_images(101, seed=3)
    assert [one.bit for one in found] == [1, -1] * 50 + [1]
    pixels = np.frombuffer(b"".join(one.pixels for one in found), np.uint8)
    # 79,184 pixels: of a third, and of those that are drawn as 0, the standard error is 0.47 / 281 = 0.0017
    assert abs((pixels > 0).mean() - 255 / 256 / 3) < 0.007
    # and of the mean of those that are not 0, 128, it is 73.6 / 162 = 0.45
    assert abs(pixels[pixels > 0].mean() - 128) < 1.9


def test_fewer_images_are_the_first_of_more_and_another_seed_has_others() -> None:
    assert generic_images(7, seed=3) == generic_images(20, seed=3)[:7]
    assert not set(generic_images(7, seed=3)) & set(generic_images(7, seed=4))
