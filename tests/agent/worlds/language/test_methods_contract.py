"""What every update method keeps to: repeatable, stoppable at any step, resumable, and no trace but the weights."""

import random
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Outcome, SaveAndStop
from perdure.agent.worlds.language.trl.config import samples
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import method_of
from tests.agent.worlds.language.runs import METHODS, Run, based, loader, small
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, TinyPolicy, tiny_lora_policy, tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task

SETTINGS_ALONE = ("eaft", "low_lr_sft", "dr_grpo", "grpo")
"""Recipes that are `sft` or `rl` with other settings, to the bit (`test_methods_combinations.py`)."""
OWN = [name for name in METHODS if name not in SETTINGS_ALONE]
CASES = [(name, tiny_policy) for name in OWN] + [(name, tiny_lora_policy) for name in ("gate", "tilt", "sdft")]
MORE: dict[str, Any] = {"earlier": (replace(toy_task(6), name="old"),), "texts": BASE_GROUPS}
"""One task before, and texts of the base."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the tiny base can be loaded a second time."""
    folder = tmp_path_factory.mktemp("base")
    based(folder)
    return folder


def beside_base(saved: Path, make: Callable[[], TinyPolicy] = tiny_policy) -> TinyPolicy:
    """A policy beside its base, as a run would give it to a method."""
    policy = with_base(make())
    return TinyPolicy(policy.model, policy.tokenizer, policy.base, loader(saved))


def global_states() -> tuple[Any, ...]:
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


def updated_without_trace(run: Run, name: str, settings: MethodSettings, **more: Any) -> Outcome:
    """One update, after which nothing but the weights has changed."""
    model, tokenizer = run.policy.model, run.policy.tokenizer
    config, generation = model.config, model.generation_config
    config.use_cache, generation.pad_token_id, tokenizer.pad_token = False, None, None
    before = global_states()
    attributes = {module: vars(one).copy() for module, one in model.named_modules()}
    outcome = run.update(name, settings, **more)
    assert global_states() == before
    assert {module: vars(one) for module, one in model.named_modules()} == attributes
    assert (config.use_cache, generation.pad_token_id, tokenizer.pad_token) == (False, None, None)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return outcome


@pytest.mark.parametrize(("name", "make"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_repeatable_stoppable_resumable_and_without_a_trace(
    name: str, make: Callable[[], TinyPolicy], saved: Path, tmp_path: Path, capfd: Any
) -> None:
    """Three steps undisturbed; then the same seed stopped, interrupted and resumed, and another seed."""
    for part in (method_of(name).objective, *method_of(name).modifiers):
        import_module(part.code)  # importing TRL draws from Python's generator
    capfd.readouterr()

    def start(folder: str, number: int) -> Run:
        random.seed(number)
        np.random.seed(number)
        torch.manual_seed(number)
        return Run(beside_base(saved, make), tmp_path / folder, **MORE)

    whole = start("whole", 0)
    fresh = whole.digest
    assert updated_without_trace(whole, name, small(name, max_steps=3)) == Outcome(3, "completed")
    assert whole.digest == whole.digests[-1] != fresh
    files = ("sha256.json", "state.json", "state.safetensors", "trainer_state.json", "weights.safetensors")
    assert whole.files == [f"checkpoints/step-000003/{file}" for file in files]

    stopped = start("stopped", 1)
    settings = small(name, max_steps=3, save_steps=2)
    assert updated_without_trace(stopped, name, settings, at=lambda step: step == 2) == Outcome(2, "stopped")
    assert stopped.seen == whole.seen[:2]
    assert stopped.digest == stopped.digests[-1] == whole.digests[1]
    assert stopped.files == []

    interrupted = start("interrupted", 2)
    with pytest.raises(SaveAndStop):
        interrupted.update(name, small(name, max_steps=3), at=lambda step: step == 2, error=SaveAndStop())
    assert interrupted.seen == whole.seen[:2]
    resumed = start("interrupted", 3)
    resumed.update(name, small(name, max_steps=3))
    assert (resumed.seen, resumed.digests) == (whole.seen[2:], whole.digests[2:])  # no step is lost or made twice

    other = start("other", 0)
    other.update(name, small(name, max_steps=3), seed=6, at=lambda step: step == 1)
    assert other.digests[0] != whole.digests[0]
    assert capfd.readouterr() == ("", "")


def test_save_and_stop_between_samples_goes_back_to_where_they_were_drawn(tmp_path: Path) -> None:
    settings = small("rl", max_steps=4, save_steps=1, trl={"steps_per_generation": 2})
    with pytest.raises(SaveAndStop):
        Run(tiny_policy(), tmp_path).update("rl", settings, at=lambda step: step == 3, error=SaveAndStop())
    resumed = Run(tiny_policy(), tmp_path)
    resumed.update("rl", settings)
    assert [progress.step for progress in resumed.seen] == [3, 4]


def weights_of(policy: TinyPolicy) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainable(policy.model).items()}


@pytest.mark.parametrize("make", [tiny_policy, tiny_lora_policy])
def test_stages_in_one_process_equal_stages_in_processes_of_their_own(
    make: Callable[[], TinyPolicy], tmp_path: Path
) -> None:
    """One model through three trainers, against a fresh model that takes over the weights before each."""
    chain = [
        ("sft", small("sft", max_steps=2, gradient_accumulation_steps=2)),
        ("rl", small("rl", max_steps=2, trl={"activation_checkpointing": True})),
        ("chord", small("chord", max_steps=2, temperature=0.7)),
        ("sft", small("sft", max_steps=2, trl={"neftune_noise_alpha": 5})),
    ]
    one = Run(make(), tmp_path)
    weights = weights_of(one.policy)
    for number, (name, settings) in enumerate(chain):
        one.folder = tmp_path / f"one-{number}"
        one.update(name, settings)
        fresh = Run(make(), tmp_path / f"fresh-{number}")
        with torch.no_grad():
            for key, tensor in trainable(fresh.policy.model).items():
                tensor.copy_(weights[key])
        fresh.update(name, settings)
        assert fresh.digest == one.digest != digest(weights)
        weights = weights_of(one.policy)
    frozen = {name: p for name, p in one.policy.model.named_parameters() if not p.requires_grad}
    start = dict(make().model.named_parameters())
    assert all(torch.equal(tensor, start[name]) for name, tensor in frozen.items())


@pytest.mark.parametrize("name", OWN)
def test_a_ruined_policy_is_reported_and_nothing_crashes(name: str, saved: Path, tmp_path: Path) -> None:
    """At a rate of 1e30 the first step ruins the weights: SFT sees a NaN loss, the samplers cannot sample.

    With `ewc` the loss is infinite before they sample again.
    """
    run = Run(beside_base(saved), tmp_path, **MORE)
    settings = small(name, max_steps=5, learning_rate=1e30, save_steps=9)
    outcome = run.update(name, settings, at=lambda step: not np.isfinite(run.seen[-1].loss or 0))
    assert outcome.ended == "stopped"
    assert outcome.steps < 5
    last = run.seen[-1]
    method = method_of(name)
    assert last.step == outcome.steps + (samples(method) and not method.has("ewc"))  # the step was never made
    assert last.loss is not None
    assert not np.isfinite(last.loss)
    assert run.files == []


@pytest.mark.parametrize("name", ["rl", "chord"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_shows_and_moves_nothing(name: str, bad: float, tmp_path: Path) -> None:
    def bad_once(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        return [bad, None] + [0.5] * (len(items) - 2)

    def none(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        return [None] * len(items)

    digests = []
    for number, reward in enumerate((bad_once, none)):
        run = Run(tiny_policy(), tmp_path / str(number), replace(toy_task(16), reward=reward))
        run.update(name, small(name, max_steps=2))
        digests.append(run.digest)
        shown = run.seen[0].reward
        assert shown is None if reward is none else str(shown) == str(bad)
        assert run.seen[0].loss is not None
        assert np.isfinite(run.seen[0].loss)
    assert digests[0] == digests[1]  # equal rewards teach nothing, and no more does a bad one


@pytest.mark.parametrize("name", ["rl", "chord"])
def test_what_a_reward_raises_goes_up(name: str, tmp_path: Path) -> None:
    class UsersError(Exception):
        """A user's own."""

    def fails(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        raise UsersError("in the reward")

    run = Run(tiny_policy(), tmp_path, replace(toy_task(16), reward=fails))
    with pytest.raises(UsersError, match="in the reward"):
        run.update(name, small(name, max_steps=2))
    assert run.digest == digest(trainable(tiny_policy().model))
    assert "forward" not in vars(run.policy.model)
