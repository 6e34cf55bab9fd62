"""CHORD's schedule, token weight and choice of demonstrations, and EAFT's weights, against numbers by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.worlds.language.methods.losses import chord_loss, demonstration_indices, imitation_loss
from perdure.agent.worlds.losses import entropy_weights, mu


def test_mu_falls_by_a_half_cosine() -> None:
    # (1 + cos(pi t / 4)) / 2 is 1, (1 + sqrt(1/2)) / 2, 1/2, … for t = 0, 1, 2; 0.9 to 0.1 is a fall of 0.8.
    def at(step: int) -> float:
        return mu(step, start=0.9, end=0.1, decay_steps=4)

    assert at(0) == pytest.approx(0.9)
    assert at(1) == pytest.approx(0.1 + 0.8 * 0.8535533905932737)
    assert at(2) == pytest.approx(0.5)
    assert at(4) == at(100) == 0.1


@given(step=st.integers(0, 200), decay_steps=st.integers(1, 150), start=st.floats(0, 1), end=st.floats(0, 1))
def test_mu_stays_between_its_ends(step: int, decay_steps: int, start: float, end: float) -> None:
    value = mu(step, start=start, end=end, decay_steps=decay_steps)
    assert min(start, end) - 1e-12 <= value <= max(start, end) + 1e-12


def test_imitation_loss_is_a_mean_over_tokens() -> None:
    # Probabilities 1/2 and 1/4 count, the third is masked: (ln 2 + ln 4) / 2 = 1.5 ln 2.
    logps = torch.log(torch.tensor([[0.5, 0.25, 0.1]]))
    mask = torch.tensor([[1, 1, 0]])
    assert imitation_loss(logps, mask, tokens=2, phi=False).item() == pytest.approx(1.5 * math.log(2))


def test_phi_weighs_by_p_times_one_minus_p_without_gradient() -> None:
    # Weights 1/4 and 3/16: (ln 2 / 4 + 2 ln 2 * 3 / 16) / 2 = 5/16 ln 2. The gradient of -w logp / 2 is -w / 2.
    logps = torch.log(torch.tensor([[0.5, 0.25]])).requires_grad_()
    loss = imitation_loss(logps, torch.ones(1, 2), tokens=2, phi=True)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(5 / 16 * math.log(2))
    assert logps.grad is not None
    assert logps.grad.tolist() == [pytest.approx([-1 / 8, -3 / 32])]


def test_a_masked_infinity_does_not_spread() -> None:
    logps = torch.tensor([[math.log(0.5), -math.inf]])
    assert imitation_loss(logps, torch.tensor([[1, 0]]), tokens=1, phi=False).item() == pytest.approx(math.log(2))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        imitation_loss(torch.zeros(1, 2), torch.ones(1, 3), tokens=2, phi=False)


def test_chord_loss_mixes() -> None:
    assert chord_loss(torch.tensor(2.0), torch.tensor(6.0), 0.25).item() == 3.0  # 0.75 * 2 + 0.25 * 6


@given(total=st.integers(1, 9), batch_size=st.integers(1, 12), seed=st.integers(0, 2**31 - 1))
def test_every_round_uses_every_demonstration_once(total: int, batch_size: int, seed: int) -> None:
    steps = [demonstration_indices(step, batch_size=batch_size, total=total, seed=seed) for step in range(total)]
    drawn = [index for step in steps for index in step]  # total * batch_size draws are batch_size whole rounds
    for start in range(0, len(drawn), total):
        assert sorted(drawn[start : start + total]) == list(range(total))


def test_rounds_and_seeds_differ() -> None:
    first, second = (demonstration_indices(step, batch_size=20, total=20, seed=0) for step in (0, 1))
    assert first != second
    assert first != demonstration_indices(0, batch_size=20, total=20, seed=1)


def test_the_weights_of_eaft_are_normalised_entropies() -> None:
    # all alike: ln 4 / ln 4 = 1. Sure: 0. Of (1/2, 1/4, 1/8, 1/8) the two likeliest are (2/3, 1/3) of their sum:
    # (2/3 ln 3/2 + 1/3 ln 3) / ln 2 = 0.9183; of all four (1/2 + 1/2 + 3/8 + 3/8) ln 2 / ln 4 = 7/8
    p_NV = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 1e-30, 1e-30, 1e-30], [0.5, 0.25, 0.125, 0.125]])
    log_NV = p_NV.log().requires_grad_()
    assert entropy_weights(log_NV, top_k=2).tolist() == pytest.approx([1.0, 0.0, 0.9183], abs=1e-4)
    assert entropy_weights(log_NV, top_k=20).tolist() == pytest.approx([1.0, 0.0, 0.875], abs=1e-4)
    assert entropy_weights(log_NV[None], top_k=2).shape == (1, 3)
    assert not entropy_weights(log_NV, top_k=2).requires_grad
