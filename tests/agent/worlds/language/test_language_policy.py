"""The language world's policy: answers, samples, hashes, saves, and comes back."""

from pathlib import Path

import pytest
import torch

from perdure.agent.weights import restore_weights, trained, write_weights
from perdure.agent.worlds.language.hub import resolve_path
from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.tiny_world import tiny_policy_parts

PROMPTS = ["a", "abc", [{"role": "user", "content": "after c?"}]]


def saved(folder: Path) -> Path:
    model, tokenizer = tiny_policy_parts()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def config(path: Path | str, **fields: object) -> CausalModel:
    return CausalModel.model_validate({"model_name_or_path": str(path), "device": "cpu"} | fields)


def answer(policy: LanguagePolicy, batch_size: int, **sampling: float) -> list[list[str]]:
    return policy.respond(PROMPTS, max_completion_length=5, batch_size=batch_size, **sampling)  # type: ignore[arg-type]


def test_greedy_answers_do_not_depend_on_the_batch() -> None:
    policy = LanguagePolicy(*tiny_policy_parts())
    assert answer(policy, 1) == answer(policy, 3)


def test_samples_follow_the_seed_and_leave_the_generators_alone() -> None:
    policy = LanguagePolicy(*tiny_policy_parts())
    state = torch.get_rng_state()
    first = answer(policy, 4, temperature=1.0, num_samples=6, seed=1)
    assert answer(policy, 4, temperature=1.0, num_samples=6, seed=1) == first
    assert answer(policy, 4, temperature=1.0, num_samples=6, seed=2) != first
    assert [len(row) for row in first] == [6, 6, 6]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_a_policy_comes_back_from_its_folder_and_from_a_snapshot(tmp_path: Path, lora: dict[str, int] | None) -> None:
    settings = config(saved(tmp_path / "base"), lora=lora)
    policy = load_policy(settings, seed=0)
    base = policy.fingerprint()
    assert load_policy(settings, seed=0).fingerprint() == base
    _shift(policy)
    moved = policy.fingerprint()
    assert moved != base
    policy.save(tmp_path / "policy")
    write_weights(trained(policy.model), tmp_path / "good.safetensors")
    for bring_back in (
        lambda: policy.restore(tmp_path / "policy"),
        lambda: restore_weights(trained(policy.model), tmp_path / "good.safetensors"),
    ):
        _shift(policy)
        assert policy.fingerprint() not in (base, moved)
        bring_back()
        assert policy.fingerprint() == moved
    policy.become_base(lambda: load_policy(settings, seed=0).model)
    assert policy.fingerprint() == base
    assert not [file for file in (tmp_path / "policy").iterdir() if file.suffix in (".bin", ".pt", ".pth", ".pkl")]


def _shift(policy: LanguagePolicy) -> None:
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)


def test_lora_leaves_the_base_weights_untouched(tmp_path: Path) -> None:
    policy = load_policy(config(saved(tmp_path / "base"), lora={"r": 4}), seed=0)
    trained = {name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}
    assert trained and all("lora_" in name for name in trained)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./none", "no such folder"),
        ("builtin:huge", "there is no 'builtin:huge'"),
        ("nobody/nothing", "local folder"),
    ],
)
def test_a_model_that_is_not_there(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_policy(config(name), seed=0)


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    model, _ = tiny_policy_parts()
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="tokenizer"):
        load_policy(config(tmp_path), seed=0)


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_policy(config(folder), seed=0)


@pytest.mark.parametrize(("device", "message"), [("cuda:99", "not on this machine"), ("mps", "not on this machine")])
def test_a_device_that_is_not_there(tmp_path: Path, device: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_policy(config(saved(tmp_path), device=device), seed=0)


def test_small_models_run_on_one_thread_unless_told_otherwise(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        load_policy(config(saved(tmp_path), threads=2), seed=0)
        assert torch.get_num_threads() == 2
        load_policy(config(tmp_path), seed=0)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_tokenizer_without_a_template_gets_a_plain_one(tmp_path: Path) -> None:
    model, tokenizer = tiny_policy_parts()
    tokenizer.chat_template = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = load_policy(config(tmp_path), seed=0)
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    assert policy.tokenizer.apply_chat_template(messages, tokenize=False) == "hi\nyes<|end|>"


def test_hub_names_and_folders_stay_as_they_are() -> None:
    assert resolve_path("org/name") == "org/name"
