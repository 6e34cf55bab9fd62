"""How little an accuracy can cost in either KL."""

import numpy as np
import pytest
from hypothesis import given

from docs.theory import tables
from docs.theory.bandit import SEVEN, Array, Problem, accuracy, binary, kl, kl_forward, kl_reverse, least_kl, projection
from tests.theory.seven import POLICIES, QSTAR, TEXT


@given(POLICIES, POLICIES)
def test_both_kls_are_a_floor_and_what_is_changed_inside_the_groups(base_SK: Array, policy_SK: Array) -> None:
    problem = Problem(base_SK, SEVEN.reward_SK)
    wrong = Problem(base_SK, 1 - SEVEN.reward_SK)
    a, j = accuracy(base_SK, problem), accuracy(policy_SK, problem)
    right = projection(base_SK, problem), projection(policy_SK, problem)
    other = projection(base_SK, wrong), projection(policy_SK, wrong)
    inside = a * kl(*right) + (1 - a) * kl(*other)
    assert kl_forward(policy_SK, problem) == pytest.approx(binary(a, j) + inside, abs=1e-12)
    inside = j * kl(*right[::-1]) + (1 - j) * kl(*other[::-1])
    assert kl_reverse(policy_SK, problem) == pytest.approx(binary(j, a) + inside, abs=1e-12)
    assert tables.kls(least_kl(problem, j), problem) == pytest.approx((binary(j, a), binary(a, j)), abs=1e-12)


def test_floors_by_hand() -> None:
    # 0.6 ln(0.6/0.98) + 0.4 ln(0.4/0.02) = -0.2944 + 1.1983; 0.8 ln(0.8/0.98) + 0.2 ln 10 = -0.1624 + 0.4605;
    # 0.88 ln(0.88/0.98) + 0.12 ln 6 = -0.0947 + 0.2150; and 0.98 ln(0.98/0.6) + 0.02 ln(0.02/0.4) = 0.4808 - 0.0599.
    floors = binary(0.6, 0.98), binary(0.8, 0.98), binary(0.88, 0.98), binary(0.98, 0.6)
    assert floors == pytest.approx((0.9039, 0.2981, 0.1203, 0.4209), abs=1e-4)
    forward_floors = "from 0.60 to 0.98 is {:.3f} nats, from 0.80 it is {:.3f}, from 0.88 it is {:.3f}"
    assert forward_floors.format(*floors[:3]) in TEXT
    assert f"the reverse one from 0.60 is {floors[3]:.3f}" in TEXT


def test_the_printed_oracle_has_no_minimum() -> None:
    assert kl_reverse(QSTAR, SEVEN) == pytest.approx(-np.log(0.6))
    always_right = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    assert all(np.isinf(kl_forward(np.array([[*row, 0, 0, 0, 0]]), SEVEN)) for row in always_right)
