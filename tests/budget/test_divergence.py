"""Divergences against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.budget.divergence import divergences, expected_log_ratio, kl_base_to_policy


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def test_two_symbols_pin_the_direction() -> None:
    # base (3/4, 1/4), policy (1/2, 1/2):
    # forward = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.3041 - 0.1733 = 0.1308
    # reverse = 1/2 ln(2/3) + 1/2 ln 2     = -0.2027 + 0.3466 = 0.1438
    found = divergences(logits(0.75, 0.25), logits(0.5, 0.5))
    assert found.kl_base_to_policy_N.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-6)
    assert found.kl_policy_to_base_N.item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=1e-6)
    assert found.total_variation_N.item() == pytest.approx(0.25, abs=1e-6)
    # L2: sqrt(0.25^2 + 0.25^2) = 0.3536
    assert found.l2_distributions_N.item() == pytest.approx(math.sqrt(0.125), abs=1e-6)
    # Jensen-Shannon by the mixture (5/8, 3/8): 1/2 (3/4 ln(6/5) + 1/4 ln(2/3)) + 1/2 (1/2 ln(4/5) + 1/2 ln(4/3))
    to_mixture = 0.75 * math.log(1.2) + 0.25 * math.log(2 / 3), 0.5 * math.log(0.8) + 0.5 * math.log(4 / 3)
    assert found.jensen_shannon_N.item() == pytest.approx(sum(to_mixture) / 2, abs=1e-6)
    # Hellinger: sqrt(1 - (sqrt(3/8) + sqrt(1/8)))
    assert found.hellinger_N.item() == pytest.approx(math.sqrt(1 - math.sqrt(3 / 8) - math.sqrt(1 / 8)), abs=1e-6)


def test_distributions_apart_have_the_largest_bounded_distances() -> None:
    found = divergences(logits(1.0, 0.0), logits(0.0, 1.0))
    assert found.jensen_shannon_N.item() == pytest.approx(math.log(2), abs=1e-6)
    assert found.hellinger_N.item() == pytest.approx(1, abs=1e-6)


def test_the_smallest_probabilities_are_no_infinite_distance() -> None:
    # exp(-103.5) is float32's smallest number above 0, and half of it is 0.
    found = divergences(torch.tensor([[0.0, -103.5]]), torch.tensor([[0.0, -200.0]]))
    assert found.jensen_shannon_N.item() == pytest.approx(0, abs=1e-6)


def test_logits_need_not_be_normalised() -> None:
    base, policy = logits(0.75, 0.25) + 7, logits(0.5, 0.5) - 3
    assert kl_base_to_policy(base, policy).item() == pytest.approx(0.1308, abs=1e-4)


def test_what_the_base_never_says_costs_nothing_forward() -> None:
    # base (1, 0), policy (1/2, 1/2): forward = ln 2, and the reverse is infinite
    found = divergences(logits(1.0, 0.0), logits(0.5, 0.5))
    assert found.kl_base_to_policy_N.item() == pytest.approx(math.log(2), abs=1e-6)
    assert found.kl_policy_to_base_N.item() == math.inf


def test_losing_what_the_base_says_is_infinitely_far() -> None:
    assert kl_base_to_policy(logits(0.5, 0.5), logits(1.0, 0.0)).item() == math.inf


def test_what_the_base_says_less_often_than_float32_can_tell_costs_nothing() -> None:
    # a log-probability of -200 is a probability of 1e-87, which is 0 in float32, and the policy's is exactly 0
    base, policy = torch.tensor([[0.0, -200.0]]), torch.tensor([[0.0, -math.inf]])
    assert kl_base_to_policy(base, policy).item() == 0


def test_log_ratios_take_any_leading_axes() -> None:
    base, policy = torch.randn(2, 3, 4).log_softmax(-1), torch.randn(2, 3, 4).log_softmax(-1)
    by_row = kl_base_to_policy(base.reshape(6, 4), policy.reshape(6, 4)).view(2, 3)
    assert torch.allclose(expected_log_ratio(base.exp(), base, policy), by_row, atol=1e-6)
    with pytest.raises(ValueError, match="shapes differ"):
        expected_log_ratio(base.exp(), base, policy[:1])


def test_nan_weights_are_nan_far() -> None:
    assert math.isnan(kl_base_to_policy(logits(0.5, 0.5), torch.tensor([[math.nan, 0.0]])).item())


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 2), (4,)])
def test_shapes_are_checked(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, V\)"):
        kl_base_to_policy(torch.zeros(1, 2), torch.zeros(shape))


vectors = st.lists(st.floats(-20, 20), min_size=5, max_size=5).map(lambda row: torch.tensor([row]))


@settings(deadline=None)
@given(vectors, vectors)
def test_bounds_that_hold_for_any_pair(base: torch.Tensor, policy: torch.Tensor) -> None:
    found = divergences(base, policy)
    forward, variation = found.kl_base_to_policy_N.item(), found.total_variation_N.item()
    assert forward >= -1e-5
    assert 0 <= variation <= 1 + 1e-5
    assert 2 * variation**2 <= forward + 1e-4  # Pinsker's inequality
    assert found.hellinger_N.item() ** 2 <= variation + 1e-5  # Le Cam's inequality
    assert found.jensen_shannon_N.item() <= math.log(2) * variation + 1e-5  # Lin's
    swapped = divergences(policy, base)
    assert swapped.kl_policy_to_base_N.item() == pytest.approx(forward, rel=1e-4, abs=1e-5)
