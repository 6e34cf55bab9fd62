"""The arithmetic of the on-policy methods, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.worlds.language.methods.losses import reverse_kl, unsolved, weighted_cross_entropy
from perdure.agent.worlds.language.methods.sdft import teacher_prompt
from perdure.agent.worlds.losses import tilt_weights
from perdure.curriculum.task import Item

NAN, INF = math.nan, math.inf


def test_weights_are_the_ratios_of_the_verified_samples() -> None:
    # Ratios 2, 1, 4 of which the last is wrong: 2/3, 1/3. Rewards 1/2 and 1 undo the ratios 2 and 1. None right: zeros.
    ratios_PG = torch.tensor([[2.0, 1.0, 4.0], [2.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    rewards_PG = torch.tensor([[1.0, 1.0, 0.0], [0.5, 1.0, NAN], [0.0, -1.0, NAN]])
    weights_PG = tilt_weights(ratios_PG.log(), rewards_PG)
    assert weights_PG[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert weights_PG[1].tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert weights_PG[2].tolist() == [0, 0, 0]


def test_weighted_samples_of_the_policy_are_the_tilted_base() -> None:
    # π0 = (1/2, 1/4, 1/4), π = (1/4, 1/2, 1/4), the first two right. Four samples in the proportions of π: 0, 1, 1, 2.
    # Ratios 2, 1/2, 1/2 sum to 3: the mass is 2/3 on answer 0 and 1/3 on answer 1, as π0 has it among the right ones.
    weights_G = tilt_weights(torch.tensor([[2.0, 0.5, 0.5, 1.0]]).log(), torch.tensor([[1.0, 1.0, 1.0, 0.0]]))[0]
    assert weights_G.tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6, 0])


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.sampled_from([0.0, 0.5, 1.0, NAN])), min_size=1, max_size=9))
def test_weights_sum_to_one_or_nothing_and_know_no_scale(samples: list[tuple[float, float]]) -> None:
    log_ratios_PG, rewards_PG = (torch.tensor([values]) for values in zip(*samples, strict=True))
    weights_PG = tilt_weights(log_ratios_PG, rewards_PG)
    success = any(reward > 0 for _, reward in samples)
    assert weights_PG.sum().item() == pytest.approx(1.0 if success else 0.0, abs=1e-5)
    assert weights_PG.min() >= 0
    assert torch.all((weights_PG > 0) <= (rewards_PG > 0))
    assert torch.allclose(weights_PG, tilt_weights(log_ratios_PG, 8 * rewards_PG), atol=1e-3)


def test_a_ratio_that_is_no_number_has_no_weight() -> None:
    weights_PG = tilt_weights(torch.tensor([[NAN, 0.0], [NAN, NAN]]), torch.ones(2, 2))
    assert weights_PG.tolist() == [[0, 1], [0, 0]]
    with pytest.raises(ValueError, match="differ"):
        tilt_weights(torch.zeros(2, 2), torch.zeros(2, 3))


def test_a_prompt_is_unsolved_when_no_sample_reaches_the_mark() -> None:
    rewards_PG = torch.tensor([[0.0, 0.4], [0.5, 0.0], [NAN, NAN], [NAN, 1.0]])
    assert unsolved(rewards_PG, 0.5).tolist() == [True, False, True, False]


def test_cross_entropy_sums_over_an_answer() -> None:
    # Answers of log-probability -1-2 and -3 (its second token is padding): -(0.5 · -3 + 0.25 · -3) = 2.25.
    logps_BT = torch.tensor([[-1.0, -2.0], [-3.0, -9.0], [-INF, -INF]])
    mask_BT = torch.tensor([[1, 1], [1, 0], [1, 1]])
    loss = weighted_cross_entropy(logps_BT, mask_BT, torch.tensor([0.5, 0.25, 0.0]))
    assert loss.item() == pytest.approx(2.25)


def test_reverse_kl_of_two_symbols() -> None:
    # p = (3/4, 1/4), q = (1/2, 1/2): KL = 3/4 ln 3/2 + 1/4 ln 1/2; its gradient in p's logits is p (ln p/q - KL).
    student_TV = torch.tensor([[math.log(3), 0.0], [5.0, 0.0]], requires_grad=True)
    teacher_TV = torch.tensor([[7.0, 7.0], [0.0, 5.0]], requires_grad=True)
    kl = reverse_kl(student_TV, teacher_TV, torch.tensor([1, 0]))
    by_hand = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert kl.item() == pytest.approx(by_hand)
    kl.backward()
    assert teacher_TV.grad is None
    assert student_TV.grad is not None
    slopes = [0.75 * (math.log(1.5) - by_hand), 0.25 * (math.log(0.5) - by_hand)]
    assert student_TV.grad[0].tolist() == pytest.approx(slopes)
    assert student_TV.grad[1].tolist() == [0, 0]


def test_the_teacher_is_told_prompt_and_demonstration_once() -> None:
    text = Item(prompt="say {demonstration}", demonstration="a {prompt}")
    assert teacher_prompt("Q: {prompt} A: {demonstration}!", text) == "Q: say {demonstration} A: a {prompt}!"
    system = {"role": "system", "content": "be brief"}
    chat = Item(prompt=[system, {"role": "user", "content": "b?"}], demonstration="c")
    told = teacher_prompt("{prompt} like {demonstration}", chat)
    assert told == [system, {"role": "user", "content": "b? like c"}]
    assert chat.prompt[1]["content"] == "b?"
