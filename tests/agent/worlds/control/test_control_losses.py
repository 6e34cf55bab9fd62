"""The losses of the control world, on numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from perdure.agent.worlds.control.losses import (
    batch_advantages,
    chosen_of,
    clipped,
    cross_entropy,
    entropy_weights,
    kl_base_to_policy,
    kl_policy_to_base,
    log_of,
    mean_entropy,
    policy_gradient,
)
from perdure.agent.worlds.losses import group_advantages, token_weights


def logs(*decisions: tuple[tuple[float, ...], ...]) -> Tensor:
    """Decisions, each a distribution a dimension."""
    return torch.tensor(decisions).log()


TWO = logs(((0.5, 0.5), (0.75, 0.25)))
"""One decision of two dimensions."""
SECOND = torch.tensor([[0, 1]])
"""Its action: the first value, then the second."""


def test_the_log_probability_of_an_action_is_the_sum_over_dimensions() -> None:
    # ln 1/2 + ln 1/4 = -ln 8
    assert log_of(TWO, SECOND).tolist() == pytest.approx([-math.log(8)])
    with pytest.raises(ValueError, match=r"no actions of \(1, 1\)"):
        log_of(TWO, torch.tensor([[0]]))


def test_cross_entropy_is_a_mean_over_decisions() -> None:
    assert float(cross_entropy(TWO, SECOND)) == pytest.approx(math.log(8))
    # the second decision is sure of what was done: (ln 8 + 0) / 2
    both = torch.cat([TWO, logs(((1.0, 1e-30), (1e-30, 1.0)))])
    assert float(cross_entropy(both, torch.cat([SECOND, SECOND]))) == pytest.approx(math.log(8) / 2)
    # with weights 1 and 0 only the first dimension counts: ln 2; it is not divided by the weights
    assert float(cross_entropy(TWO, SECOND, torch.tensor([[1.0, 0.0]]))) == pytest.approx(math.log(2))
    assert float(cross_entropy(TWO[:0], SECOND[:0])) == 0


def test_the_bonus_is_the_mean_entropy_of_a_decision() -> None:
    # dimensions of ln 2 and of 3/4 ln 4/3 + 1/4 ln 4; a second decision that is sure halves the sum
    whole = math.log(2) + 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert float(mean_entropy(TWO)) == pytest.approx(whole)
    assert float(mean_entropy(torch.cat([TWO, logs(((1.0, 1e-30), (1e-30, 1.0)))]))) == pytest.approx(whole / 2)
    assert float(mean_entropy(TWO[:0])) == 0


def test_the_policy_gradient_goes_towards_an_action_by_its_weight() -> None:
    # d/dz of -w ln p(a) is w (p - onehot(a)): 2 * ((3/4, 1/4) - (1, 0)) = (-1/2, 1/2)
    logits = torch.tensor([[[3.0, 1.0]]]).log().requires_grad_()
    policy_gradient(log_of(logits.log_softmax(-1), torch.tensor([[0]])), torch.tensor([2.0])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.5, 0.5])


@pytest.mark.parametrize(("advantage", "loss", "slope"), [(1.0, -1.2, 0.0), (-1.0, 1.5, 1.5)])
def test_clipping_bounds_what_is_good_and_not_what_is_bad(advantage: float, loss: float, slope: float) -> None:
    # ratio 3/2, epsilon 0.2: -min(1.5 A, 1.2 A); its slope in ln π is -A r where it is not clipped
    log_N = torch.tensor([math.log(1.5)], requires_grad=True)
    found = clipped(log_N, torch.zeros(1), torch.tensor([advantage]), epsilon=0.2)
    found.backward()
    assert log_N.grad is not None
    assert (found.item(), log_N.grad.item()) == pytest.approx((loss, slope))


def test_advantages_of_a_group_and_of_a_batch() -> None:
    # rewards 1, 0, 0, 0: mean 1/4, deviation (n - 1) sqrt((9 + 3) / 16 / 3) = 1/2
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert group_advantages(rewards[None], scaled=False)[0].tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])
    scaled = [1.5, -0.5, -0.5, -0.5]
    assert group_advantages(rewards[None], scaled=True)[0].tolist() == pytest.approx(scaled, abs=1e-3)
    assert batch_advantages(rewards).tolist() == pytest.approx(scaled, abs=1e-3)
    assert batch_advantages(torch.ones(3)).tolist() == [0, 0, 0]
    assert batch_advantages(torch.ones(1)).tolist() == [0]


def test_weights_by_entropy_and_by_doubt() -> None:
    # of four values, all as likely: ln 4 / ln 4; of two, one sure and the others none: 0 / ln 2
    log = logs(((0.25, 0.25, 0.25, 0.25), (1.0, 1e-30, 1e-30, 1e-30)))
    assert entropy_weights(log, (4, 2))[0].tolist() == pytest.approx([1, 0], abs=1e-6)
    # two values of four that a dimension does not have: ln 2 / ln 2
    assert float(entropy_weights(logs(((0.5, 0.5, 1e-38, 1e-38),)), (2,))) == pytest.approx(1)
    # 1/2 (1 - 1/2) and 1/4 (1 - 1/4)
    assert chosen_of(token_weights(TWO), SECOND)[0].tolist() == pytest.approx([1 / 4, 3 / 16])


def test_the_kl_of_a_decision_is_the_sum_over_its_dimensions() -> None:
    # base (1/2, 1/2), (3/4, 1/4) and policy (3/4, 1/4), (3/4, 1/4): forward 1/2 ln(2/3) + 1/2 ln 2 and 0
    policy = logs(((0.75, 0.25), (0.75, 0.25)))
    assert kl_base_to_policy(policy, TWO).tolist() == pytest.approx([0.5 * math.log(4 / 3)], abs=1e-6)
    # reverse: 3/4 ln(3/2) + 1/4 ln(1/2)
    reverse = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert kl_policy_to_base(policy, TWO).tolist() == pytest.approx([reverse], abs=1e-6)
