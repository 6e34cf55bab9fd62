"""Back towards the base in the language world: by distillation, and along a straight line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.seeds import derive
from perdure.agent.weights import blend, trainable, write_weights
from perdure.agent.worlds.base_prompts import RECOVER, base_prompts
from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.language.world import LanguageWorld
from perdure.budget.config import RecoverConfig
from perdure.budget.estimate import per_token
from tests.agent.killing import save_base, tiny_stream
from tests.agent.worlds.language.toy import toy_task

BUDGET = {"kl": 0.04, "num_prompts": 4, "max_completion_length": 6, "enforce": ["rollback", "recover"]}
CONFIG = RecoverConfig(max_steps=12, num_prompts=3)


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., LanguageWorld]:
    save_base(tmp_path / "model")
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(f'{{"prompt": "after {letter}?"}}' for letter in "abcdefgh"))

    def make(name: str, **model: Any) -> LanguageWorld:
        where = {"model_name_or_path": str(tmp_path / "model"), "device": "cpu"} | model
        curriculum = tiny_stream(tmp_path / "model", model=where, budget=BUDGET | {"generic": str(prompts)})
        made = LanguageWorld(curriculum)
        groups = base_prompts(curriculum, [toy_task(8)])
        assert groups[RECOVER] == [f"after {letter}?" for letter in "cdef"]
        made.prepare_base(groups, tmp_path / name, seed=derive(0, "base"))
        return made

    return make


def move(world: LanguageWorld, size: float = 0.1) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in trainable(world.policy.model).values():
            tensor.add_(size * torch.randn(tensor.shape, generator=generator))


def kl(world: LanguageWorld, name: str = RECOVER) -> float:
    return per_token(world.measure([name]).kl_base_to_policy).value


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_recovery_brings_the_policy_nearer_to_its_base(world: Any, lora: Any) -> None:
    one = world("a", lora=lora)
    move(one)
    before, training = (kl(one), kl(one, "toy")), one.policy.model.training
    seen: list[Progress] = []
    assert one.recover(CONFIG, 3e-3, seed=0, watch=lambda progress: bool(seen.append(progress))) == 12
    assert [progress.step for progress in seen] == list(range(1, 13))
    assert {(progress.max_steps, progress.learning_rate) for progress in seen} == {(12, 3e-3)}
    assert kl(one) < 0.6 * before[0]
    assert kl(one, "toy") < before[1]  # of prompts that it was not distilled on, too
    assert all(parameter.grad is None for parameter in one.policy.model.parameters())
    assert one.policy.model.training is training


def test_recovery_is_repeatable_and_ends_when_the_watch_says_so(world: Any) -> None:
    runs, digests = [], []
    for number, (seed, stop) in enumerate(((0, 99), (0, 4), (1, 4))):
        one = world(str(number))
        move(one)
        at: list[str] = []

        def watch(progress: Progress, one: LanguageWorld = one, at: list[str] = at, stop: int = stop) -> bool:
            at.append(one.policy.fingerprint())
            return progress.step == stop

        runs.append(one.recover(CONFIG, 3e-3, seed=seed, watch=watch))
        digests.append(at)
    assert runs == [12, 4, 4]
    assert digests[0][:4] == digests[1]
    assert digests[1][-1] != digests[2][-1]


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_a_line_in_weight_space_is_exact_at_its_ends(world: Any, lora: Any, tmp_path: Path) -> None:
    one = world("a", lora=lora)
    start, end = tmp_path / "start.safetensors", tmp_path / "end.safetensors"
    write_weights(one.trained, start)
    at_start = one.policy.fingerprint()
    move(one)
    write_weights(one.trained, end)
    at_end = one.policy.fingerprint()
    blend(one.trained, start, end, 0)
    assert one.policy.fingerprint() == at_start
    assert kl(one) == pytest.approx(0, abs=1e-6)
    first = {name: tensor.clone() for name, tensor in trainable(one.policy.model).items()}
    blend(one.trained, start, end, 1)
    assert one.policy.fingerprint() == at_end
    whole = kl(one)
    last = {name: tensor.clone() for name, tensor in trainable(one.policy.model).items()}
    blend(one.trained, start, end, 0.25)
    for name, tensor in trainable(one.policy.model).items():
        assert torch.allclose(tensor, 0.75 * first[name] + 0.25 * last[name], atol=1e-6)
    assert 0 < kl(one) < whole
