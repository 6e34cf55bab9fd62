"""The equations of docs/theory.md hold, and its tables and the numbers in its text are those of the script."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.theory import coins, em, states, tables
from docs.theory.bandit import (
    SEVEN,
    Array,
    Bandit,
    accuracy,
    bandit,
    binary,
    forward,
    kl,
    least,
    mass,
    projection,
    reverse,
    softmax,
)
from docs.theory.figures import FIGURES
from docs.theory.flows import (
    fit,
    follow,
    natural_gradient,
    penalised,
    penalised_k3,
    policy_gradient,
    sampled_tilt,
    scaled_policy_gradient,
    tilt,
)
from docs.theory.page import PAGE, blocks, with_blocks

TEXT = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
QSTAR = projection(SEVEN.base_SK, SEVEN)
POLICIES = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(lambda x: np.array([x]) / sum(x))


def speed(policy_SK: Array, slope_SK: Array) -> Array:
    """`d ln π / dt` of logits that move by `slope`."""
    return slope_SK - (policy_SK * slope_SK).sum(-1, keepdims=True)


def test_the_tables_of_the_page_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_blocks(text, blocks()) == text, "run `python -m docs.theory`"


def test_a_block_that_nobody_computes_is_refused() -> None:
    with pytest.raises(ValueError, match="computed are"):
        with_blocks("<!-- theory:other -->\n<!-- theory:end -->", {"methods": ""})


def test_every_figure_is_there_and_shown() -> None:
    for name in FIGURES:
        drawn = PAGE.parent / "theory" / f"{name}.svg"
        assert f"](theory/{drawn.name})" in TEXT
        assert "<dc:date>" not in drawn.read_text(encoding="utf-8")


# The floor


@given(POLICIES, POLICIES)
def test_both_kls_are_a_floor_and_what_is_changed_inside_the_groups(base_SK: Array, policy_SK: Array) -> None:
    problem = Bandit(base_SK, SEVEN.reward_SK)
    wrong = Bandit(base_SK, 1 - SEVEN.reward_SK)
    a, j = accuracy(base_SK, problem), accuracy(policy_SK, problem)
    right = projection(base_SK, problem), projection(policy_SK, problem)
    other = projection(base_SK, wrong), projection(policy_SK, wrong)
    inside = a * kl(*right) + (1 - a) * kl(*other)
    assert forward(policy_SK, problem) == pytest.approx(binary(a, j) + inside, abs=1e-12)
    inside = j * kl(*right[::-1]) + (1 - j) * kl(*other[::-1])
    assert reverse(policy_SK, problem) == pytest.approx(binary(j, a) + inside, abs=1e-12)
    assert tables.kls(least(problem, j), problem) == pytest.approx((binary(j, a), binary(a, j)), abs=1e-12)


def test_floors_by_hand() -> None:
    # 0.6 ln(0.6/0.98) + 0.4 ln(0.4/0.02) = -0.2944 + 1.1983; 0.8 ln(0.8/0.98) + 0.2 ln 10 = -0.1624 + 0.4605;
    # 0.88 ln(0.88/0.98) + 0.12 ln 6 = -0.0947 + 0.2150; and 0.98 ln(0.98/0.6) + 0.02 ln(0.02/0.4) = 0.4808 - 0.0599.
    floors = binary(0.6, 0.98), binary(0.8, 0.98), binary(0.88, 0.98), binary(0.98, 0.6)
    assert floors == pytest.approx((0.9039, 0.2981, 0.1203, 0.4209), abs=1e-4)
    forward_floors = "from 0.60 to 0.98 is {:.3f} nats, from 0.80 it is {:.3f}, from 0.88 it is {:.3f}"
    assert forward_floors.format(*floors[:3]) in TEXT
    assert f"the reverse one from 0.60 is {floors[3]:.3f}" in TEXT


def test_the_printed_oracle_has_no_minimum() -> None:
    assert reverse(QSTAR, SEVEN) == pytest.approx(-np.log(0.6))
    always_right = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    assert all(np.isinf(forward(np.array([[*row, 0, 0, 0, 0]]), SEVEN)) for row in always_right)


# What each method does


@given(POLICIES)
def test_the_natural_gradient_is_the_reward(policy_SK: Array) -> None:
    fisher_KK = np.diag(policy_SK[0]) - np.outer(policy_SK, policy_SK)
    gradient_K = policy_gradient(policy_SK, SEVEN)[0]
    assert fisher_KK @ natural_gradient(policy_SK, SEVEN)[0] == pytest.approx(gradient_K, abs=1e-14)


def test_natural_steps_of_any_size_stay_on_the_tilted_base() -> None:
    policy_SK = SEVEN.base_SK
    for size in (0.5, 3.0, 0.01):
        policy_SK = softmax(np.log(policy_SK) + size * natural_gradient(policy_SK, SEVEN))
        assert policy_SK == pytest.approx(least(SEVEN, accuracy(policy_SK, SEVEN)), abs=1e-12)
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
    d = speed(policy_SK, policy_gradient(policy_SK, SEVEN))[0]
    assert d[0] - d[1] == pytest.approx((1 - j) * (p[0] - p[1]), abs=1e-14)
    assert d[3] - d[4] == pytest.approx(-j * (p[3] - p[4]), abs=1e-14)
    falling = -(p * d)[:3].sum()
    w = 1 - j
    assert falling == pytest.approx(-(w**2 * (p[:3] ** 2).sum() + j**2 * (p[3:] ** 2).sum()), abs=1e-14)
    assert falling >= -2 * w**2


def test_policy_gradient_loses_the_other_right_arms() -> None:
    path = follow(SEVEN, policy_gradient, until=1 - 1e-6, horizon=1e7)
    early, late = path.at(1 - 1e-5), path.end
    assert early is not None
    exponents = np.log(late[0, 1:3] / early[0, 1:3]) / np.log(0.1)
    assert exponents == pytest.approx(4 / 5, abs=1e-3)  # k/(k+1) with four wrong arms
    # dw/dt → -w² (1 + 1/4): w t → 0.8, so that errors of at least w have no finite sum.
    assert path.times[-1] * 1e-6 == pytest.approx(0.8, abs=1e-3)
    rises = (forward(late, SEVEN) - forward(early, SEVEN)) / np.log(10)
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
    ratio_K = expected_K / policy_gradient(problem.base_SK, problem)[0]
    assert ratio_K == pytest.approx(ratio_K[0], rel=1e-9)
    one, other = (follow(SEVEN, f).at(0.95) for f in (policy_gradient, scaled_policy_gradient))
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
        limit_SK = least(SEVEN, tables.fixed_mass(0.1, k3=k3))
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
    assert sampled_tilt(1)(policy_SK, SEVEN) == pytest.approx(policy_gradient(policy_SK, SEVEN), abs=1e-14)


def test_tilt_from_samples_is_unbiased_only_at_its_target() -> None:
    there_SK = least(SEVEN, 0.8)
    some_right = 1 - 0.2**4
    assert sampled_tilt(4)(there_SK, SEVEN) == pytest.approx(some_right * tilt(there_SK, SEVEN), abs=1e-14)
    # The first arm has 5/8 of the right mass, and 7/12 in q*: one sample aims at 5/8, more of them lower.
    moved_SK = np.array([[0.5, 0.2, 0.1, 0.05, 0.05, 0.05, 0.05]])
    targets = [sampled_tilt(n)(moved_SK, SEVEN)[0, 0] / (1 - 0.2**n) + 0.5 for n in (1, 2, 8)]
    assert targets[0] == pytest.approx(5 / 8)
    assert 5 / 8 > targets[1] > targets[2] > 7 / 12


# The numbers in the text


def test_numbers_in_the_text() -> None:
    along = {name: tables.along(method) for name, method in tables.METHODS.items()}
    gradient, writers = along["policy gradient"], along["SFT, two writers, likeliest arms"]
    floor = along["natural policy gradient = least KL"][2]
    lag = np.subtract(along["tilt"][2], floor)
    for sentence in (
        f"reverse KL {gradient[2][0]:.3f}, least {floor[0]:.3f}; forward KL {gradient[2][1]:.3f}, floor {floor[1]:.3f}",
        f"costs {lag[0]:.3f} nats of reverse and {lag[1]:.3f} of forward KL at 98 %",
        f"in reverse KL ({gradient[1][0]:.3f} and {writers[1][0]:.3f})",
        f"in forward KL ({gradient[1][1]:.3f} and {writers[1][1]:.3f})",
    ):
        assert sentence in TEXT
    assert gradient[1][0] > writers[1][0]
    assert gradient[1][1] < writers[1][1]


def test_two_policies_that_the_two_kls_order_oppositely() -> None:
    # Reverse: 0.979 ln 1.958 + 0.001 ln 0.01 + 0.02 ln 0.05 = 0.593; 0.49 ln 0.98 + 0.49 ln 4.9 + 0.02 ln 0.05 = 0.709.
    problem = bandit([[0.5, 0.1, 0.4]], right=2)
    one, other = (tables.kls(np.array([row]), problem) for row in ([0.979, 0.001, 0.02], [0.49, 0.49, 0.02]))
    assert f"0.02` | **{one[0]:.3f}** | {one[1]:.3f} |" in TEXT
    assert f"0.02` | {other[0]:.3f} | **{other[1]:.3f}** |" in TEXT


def test_how_often_supervised_learning_of_all_right_arms_stays_nearer() -> None:
    found = tables.random_bases()
    above = (found["policy gradient"] > found["SFT, every right arm alike"]).sum(0)
    assert f"{len(found['tilt'])} random bases" in TEXT
    assert "on {} of them in reverse KL, on {} in forward KL".format(*above) in TEXT


# A class that lacks q*


def test_em_with_fair_coins_by_hand() -> None:
    for t, (u, v) in enumerate(coins.em(coins.FAIR, 0.5, 0.5, 30)):
        assert u == pytest.approx((t + 1) / (t + 2))
        assert v == pytest.approx(u)
    assert reverse(coins.coins(1, 1), coins.FAIR) == pytest.approx(np.log(4))
    assert reverse(coins.coins(1, 0.5), coins.FAIR) == pytest.approx(np.log(2))


@given(st.floats(0.3, 0.9), st.floats(0.1, 0.9))
def test_em_keeps_the_ratio_of_the_coins_and_misses_the_nearest(u0: float, part: float) -> None:
    v0 = u0 * part
    u, v = coins.em(coins.FAIR, u0, v0, 200)[-1]
    assert (u, v) == pytest.approx((1, part), abs=1e-3)
    problem = bandit(coins.coins(u0, v0).tolist(), right=3)
    assert reverse(coins.coins(1, part), problem) > reverse(coins.coins(1, v0), problem)


def test_the_m_step_is_the_best_fit_of_two_coins() -> None:
    target_SK = projection(coins.coins(0.6, 0.3), coins.FAIR)
    best = kl(target_SK, coins.coins(*coins.m_step(target_SK)))
    grid = np.linspace(0.05, 0.95, 40)
    assert best < min(kl(target_SK, coins.coins(u, v)) for u in grid for v in grid)


def test_the_nearest_coins_at_an_accuracy() -> None:
    problem = bandit(coins.coins(0.6, 0.3).tolist(), right=3)
    best = coins.coins(*coins.nearest(0.6, 0.3, 0.95))
    assert accuracy(best, problem) == pytest.approx(0.95)
    others = [coins.coins(u, 1 - 0.05 / (1 - u)) for u in np.linspace(0.01, 0.94, 200)]
    assert reverse(best, problem) <= min(reverse(other, problem) for other in others)


def test_em_stands_still_where_its_marginals_match() -> None:
    exactly_one = Bandit(coins.coins(0.5, 0.5), np.array([[0.0, 1.0, 1.0, 0.0]]))
    assert coins.em(exactly_one, 0.5, 0.5, 5)[-1] == pytest.approx((0.5, 0.5))


# Several prompts


def test_each_direction_of_kl_has_its_own_split_over_prompts() -> None:
    problem = states.three_states()
    one, other = states.forward_least(problem, 0.95), states.reverse_least(problem, 0.95)
    a, b = problem.base_mass_S, mass(one, problem)
    assert np.ptp((b - a) / (b * (1 - b))) == pytest.approx(0, abs=1e-6)
    b = mass(other, problem)
    assert np.ptp(np.log(b / (1 - b)) - np.log(a / (1 - a))) == pytest.approx(0, abs=1e-6)
    assert accuracy(one, problem) == pytest.approx(0.95)
    assert accuracy(other, problem) == pytest.approx(0.95)
    assert forward(one, problem) < forward(other, problem)
    assert reverse(other, problem) < reverse(one, problem)
    assert follow(problem, natural_gradient).at(0.95) == pytest.approx(other, abs=1e-7)


def test_the_floor_of_the_means_is_below_what_any_policy_reaches() -> None:
    problem = states.three_states()
    best = states.forward_least(problem, 0.95)
    low, high = states.floor_of_means(problem, best), forward(best, problem)
    assert low == pytest.approx(binary((0.9 + 0.6 + 0.2) / 3, 0.95))
    assert f"= {low:.3f}`, is below {high:.3f}" in TEXT
