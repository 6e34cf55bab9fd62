"""Several prompts: each direction of KL splits an accuracy over them in its own way."""

import numpy as np
import pytest

from docs.theory import states
from docs.theory.bandit import accuracy, binary, kl_forward, kl_reverse, mass
from docs.theory.flows import follow, natural_gradient
from tests.theory.seven import TEXT


def test_each_direction_of_kl_has_its_own_split_over_prompts() -> None:
    problem = states.three_states()
    one, other = states.forward_least(problem, 0.95), states.reverse_least(problem, 0.95)
    a, b = problem.base_mass_S, mass(one, problem)
    assert np.ptp((b - a) / (b * (1 - b))) == pytest.approx(0, abs=1e-6)
    b = mass(other, problem)
    assert np.ptp(np.log(b / (1 - b)) - np.log(a / (1 - a))) == pytest.approx(0, abs=1e-6)
    assert accuracy(one, problem) == pytest.approx(0.95)
    assert accuracy(other, problem) == pytest.approx(0.95)
    assert kl_forward(one, problem) < kl_forward(other, problem)
    assert kl_reverse(other, problem) < kl_reverse(one, problem)
    assert follow(problem, natural_gradient).at(0.95) == pytest.approx(other, abs=1e-7)


def test_the_floor_of_the_means_is_below_what_any_policy_reaches() -> None:
    problem = states.three_states()
    best = states.forward_least(problem, 0.95)
    low, high = states.floor_of_means(problem, best), kl_forward(best, problem)
    assert low == pytest.approx(binary((0.9 + 0.6 + 0.2) / 3, 0.95))
    assert f"= {low:.3f}`, is below {high:.3f}" in TEXT
