"""The transformer of the control world: tokens, masks, and rows that do not depend on their company."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perdure.agent.seeds import seeded
from perdure.agent.worlds.control.actor import IndependentActor, in_chunks
from perdure.agent.worlds.control.inputs import Inputs, joined, rows_of
from perdure.agent.worlds.control.networks.mlp import MlpNetwork
from perdure.agent.worlds.control.networks.transformer import TransformerNetwork, patches_of, sinusoids
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.pretrain import new_network
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.starts import Environment, Start

SIZES = (7, 3)
CPU = torch.device("cpu")


def network(patch: int = 2, features: int = 4, image: tuple[int, int, int] = (7, 7, 21)) -> TransformerNetwork:
    with seeded(0):
        return TransformerNetwork(features, image, SIZES, width=16, layers=2, heads=4, patch=patch)


def observations(count: int) -> list[Observation]:
    """Their instructions have 1 to 20 words."""
    rng = np.random.default_rng(0)
    return [
        Observation(
            rng.normal(size=4).astype(np.float32),
            rng.random((7, 7, 21)).astype(np.float32),
            " ".join(f"word{rng.integers(30)}" for _ in range(1 + row % 20)),
        )
        for row in range(count)
    ]


def forward(of: nn.Module, inputs: Inputs) -> Tensor:
    return in_chunks(lambda one, _: of(one), inputs, torch.zeros(len(inputs), 0))


@pytest.mark.parametrize("of", [network(1), network(3), MlpNetwork(4 + 7 * 7 * 21, [32, 32], SIZES)])
def test_a_row_is_the_same_to_the_bit_alone_and_in_company(of: nn.Module) -> None:
    actor = IndependentActor(of, CPU)
    seen = observations(70)
    together = forward(of, actor.encode(seen))
    backwards = forward(of, actor.encode(seen[::-1])).flip(0)
    assert torch.equal(together, backwards)
    for row in (0, 3, 7, 8, 19, 41, 69):
        assert torch.equal(together[row], forward(of, actor.encode([seen[row]]))[0])


def test_words_behind_the_last_count_for_nothing() -> None:
    of, actor = network(), IndependentActor(network(), CPU)
    inputs = actor.encode(observations(3))
    torch.testing.assert_close(of(inputs), of(inputs.cut(40)), rtol=0, atol=1e-6)


def test_every_part_of_an_observation_counts() -> None:
    of = network(patch=3)
    inputs = IndependentActor(of, CPU).encode(observations(4)[3:])
    vector, image = inputs.vector.requires_grad_(), inputs.image.requires_grad_()
    of(Inputs(vector, image, inputs.words)).sum().backward()
    assert vector.grad is not None and image.grad is not None and of.words.table.weight.grad is not None
    assert (vector.grad != 0).all() and (image.grad != 0).all()
    used = set(inputs.words[0].flatten().tolist())
    assert used == set(of.words.table.weight.grad.abs().sum(1).nonzero().flatten().tolist())


def test_words_that_share_one_row_share_no_other() -> None:
    rows = {word: rows_of(word)[0] for word in map("".join, product("abcdef", repeat=4))}
    first = [pair for pair in combinations(rows.values(), 2) if pair[0][0] == pair[1][0]]
    assert 700 < len(first) < 940  # of 839,160 pairs one in 1,024
    assert sum(one[1] == other[1] for one, other in first) <= 5


def test_the_order_of_the_words_counts() -> None:
    of = network()
    actor = IndependentActor(of, CPU)
    one, other = (Observation(np.zeros(4, np.float32), np.zeros((7, 7, 21), np.float32), said)
                  for said in ("the box then the ball", "the ball then the box"))  # fmt: skip
    assert not torch.allclose(of(actor.encode([one])), of(actor.encode([other])))


def test_patches_by_hand() -> None:
    """A 3 x 3 image of one plane in patches of 2: the last column and row are filled up with zeros."""
    image = torch.arange(1.0, 10).view(1, 3, 3, 1)
    assert patches_of(image, 2).tolist() == [[[1, 2, 4, 5], [3, 0, 6, 0], [7, 8, 0, 0], [9, 0, 0, 0]]]


def test_positions_by_hand() -> None:
    assert torch.allclose(sinusoids(2, 4)[0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert torch.allclose(sinusoids(2, 4)[1], torch.tensor([0.84147, 0.54030, 0.0099998, 0.99995]))


def test_the_last_block_reads_one_token_and_gives_what_all_would() -> None:
    of = network()
    tokens, there = of._tokens(IndependentActor(of, CPU).encode(observations(5)))
    last = of.blocks[-1]
    torch.testing.assert_close(last(tokens, there, 1), last(tokens, there, tokens.shape[1])[:, :1], rtol=0, atol=1e-6)


def test_observations_without_an_image_or_a_vector() -> None:
    for features, image in ((3, (0, 0, 0)), (0, (4, 4, 1))):
        of = network(2, features, image)
        seen = Observation(np.zeros(features, np.float32), np.zeros(image, np.float32) if image[0] else None)
        assert of(IndependentActor(of, CPU).encode([seen, seen])).shape == (2, 2, 7)


def test_instructions_are_grouped_by_their_length() -> None:
    inputs = joined([IndependentActor(network(), CPU).encode([one]) for one in observations(20)])
    found = [(rows.tolist(), length) for rows, length in inputs.of_like_length()]
    assert found == [(list(range(8)), 8), (list(range(8, 16)), 16), (list(range(16, 20)), 24)]
    assert torch.equal(inputs.cut(8)[:8].words[7], inputs.words[7, :8])


def a_policy(start: Start) -> ControlPolicy:
    simulator = simulator_of(start.environment)
    actions = actions_of(simulator.action_space, 21, "test")
    config = ControlModel.model_validate(
        {"type": "control", "path": "none", "policy": {"type": "transformer", "hidden_size": 16}}
    )
    with seeded(3):
        made = new_network(config, simulator.reset(0, start), actions)
    return ControlPolicy(IndependentActor(made, CPU), actions, {})


def test_it_plays_a_level_saved_and_loaded_and_whatever_is_played_beside_it(tmp_path: Path) -> None:
    level = Environment("BabyAI-GoToObj-v0", success="return > 0", horizon=12)
    starts = [Start(level, seed) for seed in range(5)]
    policy = a_policy(starts[0])
    played = policy.play(starts, temperature=1.0, seed=4)
    alone = policy.play(starts[:1], temperature=1.0, seed=4)
    assert played[0].episode.digest == alone[0].episode.digest
    assert torch.equal(played[0].log_T, alone[0].log_T)
    policy.save(tmp_path)
    other = a_policy(starts[0])
    with torch.no_grad():
        for one in other.actor.network.parameters():
            one.zero_()
    other.restore(tmp_path)
    assert other.fingerprint() == policy.fingerprint()
    again = other.play(starts, temperature=1.0, seed=4)
    assert [one.episode.digest for one in again] == [one.episode.digest for one in played]
