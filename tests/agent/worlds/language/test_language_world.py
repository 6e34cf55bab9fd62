"""What the language world says of its base."""

from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.language.world import LanguageWorld
from perdure.budget.errors import ModelError
from tests.agent.killing import save_base, tiny_stream


def world(base: Path, seed: int, **model: Any) -> LanguageWorld:
    return LanguageWorld(tiny_stream(base, seed=seed, model={"model_name_or_path": str(base), "device": "cpu"} | model))


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_the_identity_of_a_base_does_not_depend_on_the_seed(tmp_path: Path, lora: dict[str, int] | None) -> None:
    save_base(tmp_path)
    one, other = (world(tmp_path, seed, lora=lora) for seed in (0, 1))
    assert one.base_id == other.base_id
    # A fresh adapter is drawn from the seed: the policies differ, their base does not.
    assert (one.policy.fingerprint() == other.policy.fingerprint()) is (lora is None)
    with torch.no_grad():
        for parameter in other.policy.model.parameters():
            parameter.add_(parameter.requires_grad)
    assert other.base_id == one.base_id


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_another_base_has_another_identity(tmp_path: Path, lora: dict[str, int] | None) -> None:
    save_base(tmp_path)
    one = world(tmp_path, 0, lora=lora)
    moved = world(tmp_path, 0).policy.model
    with torch.no_grad():
        next(iter(moved.parameters())).add_(1)
    moved.save_pretrained(tmp_path)
    assert world(tmp_path, 0, lora=lora).base_id != one.base_id


def test_the_base_is_loaded_once_more_and_only_if_it_is_still_the_same(tmp_path: Path) -> None:
    save_base(tmp_path)
    one = world(tmp_path, 0)
    base = digest(trainable(one.policy.model))
    with torch.no_grad():
        next(iter(one.policy.model.parameters())).add_(1)
    assert one.policy.load_base is not None
    assert digest(trainable(one.policy.load_base())) == base != digest(trainable(one.policy.model))
    one.policy.model.save_pretrained(tmp_path)  # in the base's place, as a branch of a repository moves on
    for again in (one.policy.load_base, one.become_base):
        with pytest.raises(ModelError, match="is no longer the model that this run began with"):
            again()
    assert world(tmp_path, 0, lora={"r": 4}).policy.load_base is None  # the base is the policy with its adapter off
