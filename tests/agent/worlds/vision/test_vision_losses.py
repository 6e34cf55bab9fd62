"""The losses, on numbers worked out by hand, and the gradients that the theory promises."""

import math

import pytest
import torch

from perdure.agent.worlds.losses import group_advantages, token_weights
from perdure.agent.worlds.vision.losses import (
    by_class,
    cross_entropy,
    entropy,
    kl_base_to_policy,
    kl_policy_to_base,
    policy_gradient,
    simpo,
)


def logs(*rows: tuple[float, ...]) -> torch.Tensor:
    """One model, an image a row."""
    return torch.tensor([rows]).log()


def test_cross_entropy_is_a_mean_over_images() -> None:
    # -(ln 1/2) for the first, an image without a target for the second: (0.6931 + 0) / 2
    targets = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert cross_entropy(logs((0.5, 0.5), (0.9, 0.1)), targets).tolist() == pytest.approx([math.log(2) / 2])


def test_advantages_with_and_without_the_deviation() -> None:
    # rewards 1, 0, 0, 0: mean 1/4, deviation (n - 1) sqrt((9 + 3) / 16 / 3) = 1/2
    rewards = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    assert group_advantages(rewards, scaled=False)[0, 0].tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert group_advantages(rewards, scaled=True)[0, 0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-3)


def test_samples_are_summed_by_class() -> None:
    # labels 2, 2, 0 with 3, 6, -3: (-3, 0, 9) / 3
    assert by_class(torch.tensor([[[2, 2, 0]]]), torch.tensor([[[3.0, 6.0, -3.0]]]), 4).tolist() == [[[-1, 0, 3, 0]]]


def test_reverse_kl_to_the_base() -> None:
    # 1/2 ln(1/2 / 3/4) + 1/2 ln(1/2 / 1/4) = 0.1438
    value = kl_policy_to_base(logs((0.5, 0.5)), logs((0.75, 0.25)))
    assert value[0].tolist() == pytest.approx([0.5 * math.log(2 / 3) + 0.5 * math.log(2)], abs=1e-6)


def test_forward_kl_from_the_base() -> None:
    # 3/4 ln(3/4 / 1/2) + 1/4 ln(1/4 / 1/2) = 0.1308; a label that the base never says counts as 0
    value = kl_base_to_policy(logs((0.5, 0.5, 0.0)), logs((0.75, 0.25, 0.0)))
    assert value[0].tolist() == pytest.approx([0.75 * math.log(1.5) + 0.25 * math.log(0.5)], abs=1e-6)


def test_the_bonus_is_the_mean_entropy_and_pulls_towards_indifference() -> None:
    # ln 2 of the first image, nothing of the second, which is sure
    assert entropy(logs((0.5, 0.5), (1.0, 1e-30))).tolist() == pytest.approx([math.log(2) / 2])
    # dH/dz = -p (ln p + H); at (3/4, 1/4): H = 0.5623, so -3/4 (-0.2877 + 0.5623) = -0.2060, and the opposite
    logits = torch.tensor([[[3.0, 1.0]]]).log().requires_grad_()
    entropy(logits.log_softmax(-1)).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.2060, 0.2060], abs=1e-4)


def test_simpo_is_the_logistic_of_the_margin() -> None:
    # beta 2, gamma 1, p = 3/4 against 1/4: -log sigmoid(2 ln 3 - 1) = log(1 + e / 9)
    value = simpo(logs((0.75, 0.25)), torch.tensor([[0]]), torch.tensor([[1]]), beta=2.0, gamma=1.0)
    assert value.tolist() == pytest.approx([math.log(1 + math.e / 9)], abs=1e-6)


def test_phi_is_largest_at_one_half_and_has_no_gradient() -> None:
    log_MBC = logs((0.5, 0.25, 0.25)).requires_grad_()
    weights = token_weights(log_MBC)
    assert weights[0, 0].tolist() == pytest.approx([0.25, 0.1875, 0.1875])
    assert not weights.requires_grad


def test_the_policy_gradient_is_that_of_the_expected_reward() -> None:
    # J = p(right) = 1/2 for logits (0, 0); dJ/dz = p (r - J) = (1/4, -1/4). With every class sampled in proportion
    # (one of two each), the estimate is exact; the loss has the opposite sign.
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    weights = by_class(torch.tensor([[[0, 1]]]), group_advantages(torch.tensor([[[1.0, 0.0]]]), scaled=False), 2)
    policy_gradient(logits.log_softmax(-1), weights).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.25, 0.25])


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        cross_entropy(torch.zeros(1, 2, 3), torch.zeros(1, 3, 2))
