"""The writer under the policy: tokens it finds improbable while sure of others, and its KL, in every world."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.demonstrations import conflicts_of, surprisals_of
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.losses import confident_conflicts, entropy_weights
from perdure.agent.worlds.vision.world import VisionWorld
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.vision.images.arrays import arrays_of
from tests.agent.worlds.control.point_runs import fresh_world, task
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.agent.worlds.language.toy import toy_task
from tests.agent.worlds.vision.test_vision_run import curriculum, images


def test_what_counts_by_hand() -> None:
    # entropies over ln 3: (0.98, 0.01, 0.01): 0.1019 / 1.0986 = 0.093, sure; (0.8, 0.15, 0.05): 0.6127 / 1.0986, not
    log_NV = torch.tensor([[0.98, 0.01, 0.01], [0.8, 0.15, 0.05]]).log()
    found = confident_conflicts(log_NV, entropy_weights(log_NV, top_k=3))
    assert found.tolist() == [[False, True, True], [False, False, False]]


@pytest.mark.parametrize("chunk_rows", [2, 1000])
def test_texts_are_counted_token_by_token(chunk_rows: int) -> None:
    model, tokenizer = tiny_policy_parts()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(300)  # so that it is sure of something
    base = sample_base_texts(
        LanguagePolicy(model, tokenizer), {"a": ["say a"]}, max_completion_length=2, batch_size=1, seed=0
    )
    base.chunk_rows = chunk_rows
    items = [*toy_task(6).train, Item("nobody wrote")]
    found, hits, tokens = conflicts_of(base, items), 0, 0
    for item in items[:6]:
        ids, start = encode_demonstration(tokenizer, item)
        with torch.no_grad():
            log_TV = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
        for place in range(start, len(ids)):
            some = log_TV[place - 1].topk(20).values.log_softmax(-1)
            sure = float(-(some.exp() * some).sum()) < 0.2 * math.log(20)
            hits += sure and float(log_TV[place - 1, ids[place]]) < math.log(0.1)
        tokens += len(ids) - start
    assert found is not None and 0 < hits < tokens
    assert (found.value, found.n) == (pytest.approx(hits / tokens), 6)
    assert conflicts_of(base, items[6:]) is None
    assert surprisals_of(base, items[6:]) == []
    by_hand = []
    for item in items[:6]:
        ids, start = encode_demonstration(tokenizer, item)
        with torch.no_grad():
            log_TV = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
        by_hand.append(-sum(float(log_TV[place - 1, ids[place]]) for place in range(start, len(ids))))
    assert sorted(surprisals_of(base, items)) == pytest.approx(sorted(by_hand), rel=1e-4)
    lengths = [len(encode_demonstration(tokenizer, item)[0]) for item in items[:6]]
    base.policy.model.config.max_position_embeddings = min(lengths)
    assert len(surprisals_of(base, items)) == lengths.count(min(lengths)) < 6


def test_images_count_by_the_chance_of_each_label() -> None:
    config = curriculum(stages=[{"name": "parity", "task": images()}])
    world = VisionWorld(config.model, seed=0)
    items = build_task(config.stages[0].task, name="parity", seed=0, model=config.model).train
    choices_NC = torch.from_numpy(arrays_of(items).choices_NC)
    with torch.no_grad():
        for name, tensor in world.policy.params.items():
            if name == "1.bias":
                tensor.copy_(torch.tensor([[20.0, *[0.0] * 9]]))  # sure of 0, whatever the image
    found = world.conflicts(items)
    assert found is not None and found.value == pytest.approx(float(1 - choices_NC[:, 0].mean()))
    inputs_NF = torch.from_numpy(arrays_of(items).inputs_NF)
    expected = [
        sum(share * (math.log(share) - log) for share, log in zip(shares, logs, strict=True) if share)
        for shares, logs in zip(choices_NC.tolist(), world.policy.log_probabilities(inputs_NF).tolist(), strict=True)
    ]
    assert world.kl_from_writer(items) == pytest.approx(expected, rel=1e-4)
    others: dict[str, Any] = {"writer": "none"}
    unwritten = build_task(config.stages[0].task.model_copy(update=others), name="parity", seed=0, model=config.model)
    assert world.conflicts(unwritten.train) is None
    assert world.kl_from_writer(unwritten.train) == []


def test_decisions_count_by_their_dimensions(tmp_path: Path) -> None:
    world, items = fresh_world(), task().train
    found = world.conflicts(items)
    assert found is not None and 0 <= found.value <= 1
    assert found.n == sum(len(item.columns["episodes"]) for item in items)
    assert world.conflicts([Item(one.prompt) for one in items]) is None
    episodes = [episode for item in items for episode in item.columns["episodes"]]
    actor = world.policy.actor
    by_hand = []
    for episode in episodes:
        actions_SD = torch.from_numpy(episode.actions)
        with torch.no_grad():
            log_SDB = actor.log_probabilities(actor.encode(list(episode.observations)), actions_SD)
        by_hand.append(-float(log_SDB.gather(-1, actions_SD[..., None]).sum()))
    assert world.kl_from_writer(items) == pytest.approx(by_hand, rel=1e-4)
    assert world.kl_from_writer([Item(one.prompt) for one in items]) == []
