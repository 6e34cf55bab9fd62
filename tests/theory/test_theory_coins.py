"""A class of policies that lacks q*: two coins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.theory import coins
from docs.theory.bandit import Problem, accuracy, bandit, kl, kl_reverse, projection


def test_em_with_fair_coins_by_hand() -> None:
    for t, (u, v) in enumerate(coins.em(coins.FAIR, 0.5, 0.5, 30)):
        assert u == pytest.approx((t + 1) / (t + 2))
        assert v == pytest.approx(u)
    assert kl_reverse(coins.coins(1, 1), coins.FAIR) == pytest.approx(np.log(4))
    assert kl_reverse(coins.coins(1, 0.5), coins.FAIR) == pytest.approx(np.log(2))


@given(st.floats(0.3, 0.9), st.floats(0.1, 0.9))
def test_em_keeps_the_ratio_of_the_coins_and_misses_the_nearest(u0: float, part: float) -> None:
    v0 = u0 * part
    u, v = coins.em(coins.FAIR, u0, v0, 200)[-1]
    assert (u, v) == pytest.approx((1, part), abs=1e-3)
    problem = bandit(coins.coins(u0, v0).tolist(), right=3)
    assert kl_reverse(coins.coins(1, part), problem) > kl_reverse(coins.coins(1, v0), problem)


def test_the_m_step_is_the_best_fit_of_two_coins() -> None:
    target_SK = projection(coins.coins(0.6, 0.3), coins.FAIR)
    best = kl(target_SK, coins.coins(*coins.m_step(target_SK)))
    grid = np.linspace(0.05, 0.95, 40)
    assert best < min(kl(target_SK, coins.coins(u, v)) for u in grid for v in grid)


def test_the_nearest_coins_at_an_accuracy() -> None:
    problem = bandit(coins.coins(0.6, 0.3).tolist(), right=3)
    best = coins.coins(*coins.least_kl_coins(0.6, 0.3, 0.95))
    assert accuracy(best, problem) == pytest.approx(0.95)
    others = [coins.coins(u, 1 - 0.05 / (1 - u)) for u in np.linspace(0.01, 0.94, 200)]
    assert kl_reverse(best, problem) <= min(kl_reverse(other, problem) for other in others)


def test_em_stands_still_where_its_marginals_match() -> None:
    exactly_one = Problem(coins.coins(0.5, 0.5), np.array([[0.0, 1.0, 1.0, 0.0]]))
    assert coins.em(exactly_one, 0.5, 0.5, 5)[-1] == pytest.approx((0.5, 0.5))
