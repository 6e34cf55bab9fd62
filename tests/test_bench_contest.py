"""The contest's arithmetic, on two streams of two seeds."""

import pytest

from tests.bench.contest import best_fixed, difference, over_streams

ONE = {"sft": {0: 0.5, 1: 0.7}, "rl": {0: 0.6, 1: 0.7}, "probe": {0: 0.9, 1: 0.9}}
TWO = {"sft": {0: 0.9, 1: 0.9}, "rl": {0: 0.2, 1: 0.4}, "probe": {0: 0.5, 1: 0.7}}


def test_the_best_fixed_method_is_no_strategy() -> None:
    # means: 0.6 and 0.65 in the first stream, 0.9 and 0.3 in the second; the strategy does not count
    assert (best_fixed(ONE), best_fixed(TWO)) == ("rl", "sft")


def test_arms_are_compared_seed_by_seed() -> None:
    # 0.3 and 0.2: mean 0.25; one degree of freedom, stderr 0.05, t = 12.706
    found = difference(ONE["probe"], ONE["rl"])
    assert found.value == pytest.approx(0.25)
    assert found.low == pytest.approx(0.25 - 12.706 * 0.05, abs=1e-3)
    assert found.n == 2


def test_over_streams_is_a_mean_a_seed() -> None:
    together = over_streams([ONE, TWO])
    assert together["sft"] == pytest.approx({0: 0.7, 1: 0.8})
    assert together["probe"] == pytest.approx({0: 0.7, 1: 0.8})
