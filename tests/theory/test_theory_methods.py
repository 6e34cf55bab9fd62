"""What each method does: its direction, where it ends, and what it leaves on the way."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given

from docs.theory import em, tables
from docs.theory.bandit import SEVEN, Array, accuracy, bandit, kl_forward, least_kl, projection, softmax
from docs.theory.flows import (
    exact_gradient,
    fit,
    follow,
    natural_gradient,
    penalised,
    penalised_k3,
    sampled_tilt,
    scaled_policy_gradient,
    tilt,
)
from tests.theory.seven import POLICIES, QSTAR, TEXT


def speed(policy_SK: Array, slope_SK: Array) -> Array:
    """`d ln π / dt` of logits that move by `slope`."""
    return slope_SK - (policy_SK * slope_SK).sum(-1, keepdims=True)


@given(POLICIES)
def test_the_natural_gradient_is_the_reward(policy_SK: Array) -> None:
    fisher_KK = np.diag(policy_SK[0]) - np.outer(policy_SK, policy_SK)
    gradient_K = exact_gradient(policy_SK, SEVEN)[0]
    assert fisher_KK @ natural_gradient(policy_SK, SEVEN)[0] == pytest.approx(gradient_K, abs=1e-14)


def test_natural_steps_of_any_size_stay_on_the_tilted_base() -> None:
    policy_SK = SEVEN.base_SK
    for size in (0.5, 3.0, 0.01):
        policy_SK = softmax(np.log(policy_SK) + size * natural_gradient(policy_SK, SEVEN))
        assert policy_SK == pytest.approx(least_kl(SEVEN, accuracy(policy_SK, SEVEN)), abs=1e-12)
    assert np.log(accuracy(policy_SK, SEVEN) / (1 - accuracy(policy_SK, SEVEN)) / 1.5) == pytest.approx(3.51)  # a = 3/5


def test_exact_em_is_there_in_one_step_but_keeps_the_errors_of_earlier_ones() -> None:
    assert em.exact(SEVEN) == pytest.approx(QSTAR)
    started_SK = follow(SEVEN, fit(QSTAR), horizon=1.0).end
    ends_SK = projection(started_SK, SEVEN)
    assert projection(ends_SK, SEVEN) == pytest.approx(ends_SK)
    assert abs(ends_SK - QSTAR).max() > 0.01


@given(POLICIES)
def test_policy_gradient_favours_the_likelier_right_arm_and_evens_out_the_wrong_ones(policy_SK: Array) -> None:
    p, j = policy_SK[0], accuracy(policy_SK, SEVEN)
    d = speed(policy_SK, exact_gradient(policy_SK, SEVEN))[0]
    assert d[0] - d[1] == pytest.approx((1 - j) * (p[0] - p[1]), abs=1e-14)
    assert d[3] - d[4] == pytest.approx(-j * (p[3] - p[4]), abs=1e-14)
    falling = -(p * d)[:3].sum()
    w = 1 - j
    assert falling == pytest.approx(-(w**2 * (p[:3] ** 2).sum() + j**2 * (p[3:] ** 2).sum()), abs=1e-14)
    assert falling >= -2 * w**2


def test_policy_gradient_loses_the_other_right_arms() -> None:
    path = follow(SEVEN, exact_gradient, until=1 - 1e-6, horizon=1e7)
    early, late = path.at(1 - 1e-5), path.end
    assert early is not None
    exponents = np.log(late[0, 1:3] / early[0, 1:3]) / np.log(0.1)
    assert exponents == pytest.approx(4 / 5, abs=1e-3)  # k/(k+1) with four wrong arms
    # dw/dt → -w² (1 + 1/4): w t → 0.8, so that errors of at least w have no finite sum.
    assert path.times[-1] * 1e-6 == pytest.approx(0.8, abs=1e-3)
    rises = (kl_forward(late, SEVEN) - kl_forward(early, SEVEN)) / np.log(10)
    assert rises == pytest.approx(0.4 + 0.8 * 0.25, abs=2e-3)


@pytest.mark.parametrize("scaled", [False, True])
def test_normalising_within_a_group_changes_the_speed_alone(scaled: bool) -> None:
    problem = bandit([[0.5, 0.2, 0.3]], right=2)
    p, expected_K = problem.base_SK[0], np.zeros(3)
    for group in product(range(3), repeat=4):
        rewards = np.array([float(arm < 2) for arm in group])
        advantages = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4 if scaled else 1)
        scores_GK = np.eye(3)[list(group)] - p
        expected_K += p[list(group)].prod() * (advantages @ scores_GK) / 4
    ratio_K = expected_K / exact_gradient(problem.base_SK, problem)[0]
    assert ratio_K == pytest.approx(ratio_K[0], rel=1e-9)
    one, other = (follow(SEVEN, f).at(0.95) for f in (exact_gradient, scaled_policy_gradient))
    assert one == pytest.approx(other, abs=1e-7)


@pytest.mark.parametrize("name", tables.METHODS)
def test_methods_end_where_the_table_says(name: str) -> None:
    method = tables.METHODS[name]
    path = follow(SEVEN, method.field, until=0.999, horizon=4e3)
    far = [0.5 * abs(path.policies_TSK[n] - method.limit_SK).sum() for n in (len(path.times) // 2, -1)]
    assert far[1] < 0.008
    assert far[1] < far[0] or far[1] < 1e-9


def test_where_a_kl_term_balances_the_reward() -> None:
    for field, k3 in ((penalised(0.1), False), (penalised_k3(0.1), True)):
        limit_SK = least_kl(SEVEN, tables.fixed_mass(0.1, k3=k3))
        assert field(limit_SK, SEVEN) == pytest.approx(0, abs=1e-9)
    stop = [tables.fixed_mass(0.1, k3=k3) for k3 in (True, False)]
    assert "accuracy stops at {:.3f} where the reverse term allows {:.5f}".format(*stop) in TEXT


@given(POLICIES)
def test_k3_as_a_loss_has_the_gradient_of_the_forward_kl(policy_SK: Array) -> None:
    def value(logits_SK: Array) -> float:
        ratio_SK = SEVEN.base_SK / softmax(logits_SK)
        return float((policy_SK * (ratio_SK - 1 - np.log(ratio_SK))).sum())

    logits_SK, h = np.log(policy_SK), 1e-6
    steps = h * np.eye(7)[:, None]
    slopes = [(value(logits_SK + step) - value(logits_SK - step)) / (2 * h) for step in steps]
    assert slopes == pytest.approx((policy_SK - SEVEN.base_SK)[0], abs=1e-5)


@given(POLICIES)
def test_tilt_from_one_sample_of_the_policy_is_policy_gradient(policy_SK: Array) -> None:
    assert sampled_tilt(1)(policy_SK, SEVEN) == pytest.approx(exact_gradient(policy_SK, SEVEN), abs=1e-14)


def test_tilt_from_samples_is_unbiased_only_at_its_target() -> None:
    there_SK = least_kl(SEVEN, 0.8)
    some_right = 1 - 0.2**4
    assert sampled_tilt(4)(there_SK, SEVEN) == pytest.approx(some_right * tilt(there_SK, SEVEN), abs=1e-14)
    # The first arm has 5/8 of the right mass, and 7/12 in q*: one sample aims at 5/8, more of them lower.
    moved_SK = np.array([[0.5, 0.2, 0.1, 0.05, 0.05, 0.05, 0.05]])
    targets = [sampled_tilt(n)(moved_SK, SEVEN)[0, 0] / (1 - 0.2**n) + 0.5 for n in (1, 2, 8)]
    assert targets[0] == pytest.approx(5 / 8)
    assert 5 / 8 > targets[1] > targets[2] > 7 / 12
