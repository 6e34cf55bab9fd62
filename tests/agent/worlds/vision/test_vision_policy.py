"""The classifier as a policy: what it answers, and what it keeps on the disk."""

from pathlib import Path

import pytest
import torch

from perdure.agent.worlds.vision.mlp import Params, new_params, stack
from perdure.agent.worlds.vision.policy import VisionPolicy
from perdure.curriculum.worlds.vision.images.observation import DIGITS_BIT, ImageObservation

CPU = torch.device("cpu")


def params(seed: int = 0) -> Params:
    return stack([new_params([785, 8, 10], torch.Generator().manual_seed(seed))])


def images(count: int) -> list[ImageObservation]:
    generator = torch.Generator().manual_seed(9)
    pixels = torch.randint(0, 256, (count, 784), generator=generator, dtype=torch.uint8)
    return [ImageObservation(bytes(row.tolist()), DIGITS_BIT) for row in pixels]


def test_greedy_answers_are_the_likeliest_labels() -> None:
    policy = VisionPolicy(params(), CPU)
    prompts = images(5)
    expected = policy.log_probabilities(policy.inputs(prompts)).argmax(-1).tolist()
    answers = policy.respond(prompts, max_completion_length=1, batch_size=2, num_samples=2)
    assert answers == [[str(label)] * 2 for label in expected]


def test_samples_follow_the_probabilities_and_leave_the_generators_alone() -> None:
    policy = VisionPolicy(params(), CPU)
    prompts = images(1)
    state = torch.get_rng_state()
    answers = policy.respond(
        prompts, max_completion_length=1, batch_size=1, temperature=1.0, num_samples=20_000, seed=3
    )
    assert torch.equal(torch.get_rng_state(), state)
    shares = torch.bincount(torch.tensor([int(label) for label in answers[0]]), minlength=10) / 20_000
    assert torch.allclose(shares, policy.log_probabilities(policy.inputs(prompts)).exp()[0], atol=0.015)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    policy, other = VisionPolicy(params(0), CPU), VisionPolicy(params(1), CPU)
    assert policy.fingerprint() != other.fingerprint()
    policy.save(tmp_path / "policy")
    assert {file.name for file in (tmp_path / "policy").iterdir()} == {"model.safetensors", "config.json"}
    other.restore(tmp_path / "policy")
    assert other.fingerprint() == policy.fingerprint()


def test_a_policy_does_not_share_memory_with_what_it_took() -> None:
    single = {name: tensor[0].clone() for name, tensor in params(1).items()}
    policy = VisionPolicy(params(0), CPU)
    policy.take(single)
    policy.params["0.bias"].add_(1)
    assert single["0.bias"].abs().max() < 1


def test_the_bit_changes_the_answer_of_the_network() -> None:
    policy = VisionPolicy(params(), CPU)
    pixels = images(1)[0].pixels
    one, other = (policy.log_probabilities(policy.inputs([ImageObservation(pixels, bit)])) for bit in (1, -1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("bit", [0, 2])
def test_a_bit_that_means_nothing_is_refused(bit: int) -> None:
    with pytest.raises(ValueError, match="bit"):
        ImageObservation(bytes(784), bit)
