"""What every update method keeps to: repeatable, resumable, stoppable at any step, and no trace but the weights."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Beside, Outcome, Progress, SaveAndStop
from perdure.agent.worlds.language.methods import check_settings, find_update
from perdure.agent.worlds.language.trl.config import samples
from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.settings import Common, RlTrain, SftTrain
from perdure.curriculum.task import Task
from perdure.curriculum.train import SECTIONS
from perdure.curriculum.worlds.contract import METHODS as OF_THE_WORLD
from perdure.curriculum.worlds.contract import Method
from tests.agent.worlds.language.tiny_world import (
    BASE_GROUPS,
    TinyPolicy,
    tiny_lora_policy,
    tiny_policy,
    toy_task,
    with_base,
)

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8}
SAMPLING: dict[str, Any] = {"num_generations": 4, "max_completion_length": 6}
WINDOWS = {"steps_per_generation": 2}


METHODS: tuple[Method, ...] = OF_THE_WORLD["language"]
FEW: dict[Method, dict[str, Any]] = {"chord": {"sft_batch_size": 3}, "ewc": {"fisher_items": 3}}


def settings_of(method: Method, **more: Any) -> Common:
    """Small settings: 16 items make 2 steps a pass for SFT and 8 for the samplers."""
    fields = SECTIONS[method].model_fields
    quick = {name: value for name, value in (QUICK | SAMPLING).items() if name in fields}
    return SECTIONS[method](**(quick | FEW.get(method, {}) | more))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base in a folder, from which TRL can load it a second time."""
    folder = tmp_path_factory.mktemp("base")
    tiny_policy().model.save_pretrained(folder)
    return folder


def based(saved: Path, make: Callable[[], TinyPolicy] = tiny_policy) -> TinyPolicy:
    """A policy beside its base, as a life would give it to a method."""
    policy = with_base(make())

    def load() -> Any:
        return AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32).eval()

    return TinyPolicy(policy.model, policy.tokenizer, policy.base, load)


BESIDE = Beside(earlier=(replace(toy_task(6), name="old"),), texts=BASE_GROUPS)
"""One task before, and texts of the base."""


class Run:
    """One update, what its watch was told, and the weights' hash at every step."""

    def __init__(self, policy: TinyPolicy, folder: Path, task: Task | None = None, beside: Beside = BESIDE) -> None:
        self.policy, self.folder, self.task, self.beside = policy, folder, task or toy_task(16), beside
        self.seen: list[Progress] = []
        self.digests: list[str] = []

    def update(
        self,
        method: Method,
        settings: Common,
        *,
        seed: int = 5,
        at: Callable[[int], bool] = lambda step: False,
        error: BaseException | None = None,
    ) -> Outcome:
        """Update; where `at` says so, end it: by raising `error`, or by asking."""

        def watch(progress: Progress) -> bool:
            self.seen.append(progress)
            self.digests.append(self.digest)
            if at(progress.step) and error is not None:
                raise error
            return at(progress.step)

        beside = self.beside if self.policy.base is not None else replace(self.beside, texts=())
        update = find_update(method)
        return update(self.policy, self.task, settings, seed=seed, folder=self.folder, watch=watch, beside=beside)

    @property
    def digest(self) -> str:
        return digest(trainable(self.policy.model))

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


class Killed(BaseException):
    """What a kill would be."""


@pytest.mark.parametrize("method", METHODS)
def test_repeatable_at_a_seed_and_without_a_trace(method: Method, saved: Path, tmp_path: Path, capfd: Any) -> None:
    find_update(method)  # importing TRL draws from Python's generator
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        random.seed(number)
        np.random.seed(number)
        torch.manual_seed(number)
        run = Run(based(saved), tmp_path / str(number))
        model, tokenizer = run.policy.model, run.policy.tokenizer
        model.config.use_cache, model.generation_config.pad_token_id, tokenizer.pad_token = False, None, None
        before = (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())
        attributes = {name: vars(module).copy() for name, module in model.named_modules()}
        run.update(method, settings_of(method, max_steps=3), seed=seed)
        assert (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()) == before
        assert {name: vars(module) for name, module in model.named_modules()} == attributes
        assert (model.config.use_cache, model.generation_config.pad_token_id, tokenizer.pad_token) == (
            False,
            None,
            None,
        )
        assert not model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        runs.append(run)
    first, second, other = runs
    assert first.seen == second.seen
    assert first.digests == second.digests
    assert first.digest == first.digests[-1] != tiny_digest()
    assert other.digest != first.digest
    assert capfd.readouterr() == ("", "")
    names = ("state.json", "state.safetensors", "trainer_state.json", "weights.safetensors")
    assert first.files == [f"checkpoints/step-000003/{name}" for name in names]


def tiny_digest() -> str:
    return digest(trainable(tiny_policy().model))


RESUMES: list[tuple[Method, dict[str, Any], int, Callable[[], TinyPolicy]]] = [
    ("sft", {"save_steps": 2}, 5, tiny_policy),  # from 4, the end of a pass
    ("sft", {"save_steps": 3}, 5, tiny_lora_policy),  # from 3, inside the second pass
    ("rl", {"save_steps": 3}, 5, tiny_policy),  # from 3, inside the first pass
    # From 10, inside the second pass; the samples of 11 are used up by 12.
    ("rl", {"save_steps": 3, "max_steps": 12, "trl": WINDOWS}, 12, tiny_lora_policy),
    ("rl", {"save_steps": 3, "trl": {"num_iterations": 2}}, 6, tiny_policy),  # from 4: 5 has used its samples once
    ("chord", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, tiny_policy),
    # `gate`, `tilt`, `sdft` and `rl_kl` are resumed under a penalty in test_on_policy_contract.py.
    ("eaft", {"save_steps": 3}, 5, tiny_policy),
    ("sft_kl", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, tiny_policy),
    ("low_lr_sft", {"save_steps": 3}, 5, tiny_policy),
    ("replay", {"save_steps": 3}, 5, tiny_policy),
    ("ewc", {"save_steps": 3}, 5, tiny_lora_policy),
    ("ewc", {"save_steps": 2}, 5, tiny_policy),
    ("l2", {"save_steps": 3}, 5, tiny_policy),
    ("lora", {"save_steps": 3}, 5, tiny_policy),
]


@pytest.mark.parametrize(
    ("method", "more", "step", "make"), RESUMES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_resumed_equals_undisturbed(
    method: Method, more: dict[str, Any], step: int, make: Callable[[], TinyPolicy], saved: Path, tmp_path: Path
) -> None:
    settings = settings_of(method, **({"max_steps": 8} | more))
    whole = Run(based(saved, make), tmp_path / "whole")
    assert whole.update(method, settings) == Outcome(settings.max_steps or 0, "completed")
    killed = Run(based(saved, make), tmp_path / "killed")
    with pytest.raises(Killed):
        killed.update(method, settings, at=lambda now: now == step, error=Killed())
    resumed = Run(based(saved, make), tmp_path / "killed")
    torch.manual_seed(99)
    resumed.update(method, settings)
    start = resumed.seen[0].step - 1
    assert 0 < start < step
    assert killed.seen == whole.seen[:step]
    assert resumed.seen == whole.seen[start:]
    assert resumed.digests == whole.digests[start:]
    again = Run(based(saved, make), tmp_path / "killed")
    assert again.update(method, settings) == Outcome(settings.max_steps or 0, "completed")
    assert again.seen == []  # the last step's checkpoint: nothing is trained twice
    assert again.digest == whole.digest


@pytest.mark.parametrize("method", METHODS)
def test_a_stop_ends_the_update_at_that_step(method: Method, saved: Path, tmp_path: Path) -> None:
    whole = Run(based(saved), tmp_path / "whole")
    whole.update(method, settings_of(method, max_steps=4))
    stopped = Run(based(saved), tmp_path / "stopped")
    outcome = stopped.update(method, settings_of(method, max_steps=4, save_steps=3), at=lambda step: step == 3)
    assert outcome == Outcome(3, "stopped")
    assert stopped.seen == whole.seen[:3]
    assert stopped.digest == stopped.digests[-1] == whole.digests[2]
    assert stopped.files == []


@pytest.mark.parametrize("method", METHODS)
def test_save_and_stop_loses_no_step(method: Method, saved: Path, tmp_path: Path) -> None:
    run = Run(based(saved), tmp_path)
    with pytest.raises(SaveAndStop):
        run.update(method, settings_of(method, max_steps=3), at=lambda step: step == 2, error=SaveAndStop())
    resumed = Run(based(saved), tmp_path)
    resumed.update(method, settings_of(method, max_steps=3))
    assert [progress.step for progress in resumed.seen] == [3]


def test_save_and_stop_between_samples_goes_back_to_where_they_were_drawn(tmp_path: Path) -> None:
    settings = settings_of("rl", max_steps=4, save_steps=1, trl=WINDOWS)
    with pytest.raises(SaveAndStop):
        Run(tiny_policy(), tmp_path).update("rl", settings, at=lambda step: step == 3, error=SaveAndStop())
    resumed = Run(tiny_policy(), tmp_path)
    resumed.update("rl", settings)
    assert [progress.step for progress in resumed.seen] == [3, 4]


@pytest.mark.parametrize("make", [tiny_policy, tiny_lora_policy])
def test_stages_in_one_process_equal_stages_in_processes_of_their_own(
    make: Callable[[], TinyPolicy], tmp_path: Path
) -> None:
    """One model through three trainers, against a fresh model that takes over the weights before each."""
    chain: list[tuple[Method, Common]] = [
        ("sft", settings_of("sft", max_steps=2, gradient_accumulation_steps=2)),
        ("rl", settings_of("rl", max_steps=2, trl={"activation_checkpointing": True, "bf16": True})),
        ("chord", settings_of("chord", max_steps=2, temperature=0.7)),
        ("sft", settings_of("sft", max_steps=2, trl={"neftune_noise_alpha": 5})),
    ]
    one = Run(make(), tmp_path)
    weights = {name: tensor.clone() for name, tensor in trainable(one.policy.model).items()}
    for number, (method, settings) in enumerate(chain):
        one.folder = tmp_path / f"one-{number}"
        one.update(method, settings)
        fresh = Run(make(), tmp_path / f"fresh-{number}")
        with torch.no_grad():
            for name, tensor in trainable(fresh.policy.model).items():
                tensor.copy_(weights[name])
        fresh.update(method, settings)
        assert fresh.digest == one.digest != digest(weights)
        weights = {name: tensor.clone() for name, tensor in trainable(one.policy.model).items()}
    frozen = {name: p for name, p in one.policy.model.named_parameters() if not p.requires_grad}
    untouched = dict(make().model.named_parameters())
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in frozen.items())


@pytest.mark.parametrize("method", METHODS)
def test_a_ruined_policy_is_reported_and_nothing_crashes(method: Method, saved: Path, tmp_path: Path) -> None:
    """At a rate of 1e30 the first step ruins the weights: SFT sees a NaN loss, the samplers cannot sample."""
    run = Run(based(saved), tmp_path)
    outcome = run.update(
        method,
        settings_of(method, max_steps=5, learning_rate=1e30, save_steps=9),
        at=lambda step: not np.isfinite(run.seen[-1].loss or 0),
    )
    assert outcome.ended == "stopped"
    assert outcome.steps < 5
    last = run.seen[-1]
    assert last.step == outcome.steps + samples(method)  # the samplers' step 2 was never taken
    assert last.loss is not None
    assert not np.isfinite(last.loss)
    assert run.files == []


@pytest.mark.parametrize("method", ["rl", "chord"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_shows_and_moves_nothing(method: Method, bad: float, tmp_path: Path) -> None:
    def bad_once(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        return [bad, None] + [0.5] * (len(items) - 2)

    def none(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        return [None] * len(items)

    digests = []
    for number, reward in enumerate((bad_once, none)):
        run = Run(tiny_policy(), tmp_path / str(number), replace(toy_task(16), reward=reward))
        run.update(method, settings_of(method, max_steps=2))
        digests.append(run.digest)
        shown = run.seen[0].reward
        assert shown is None if reward is none else str(shown) == str(bad)
        assert run.seen[0].loss is not None
        assert np.isfinite(run.seen[0].loss)
    assert digests[0] == digests[1]  # equal rewards teach nothing, and no more does a bad one


@pytest.mark.parametrize("method", ["rl", "chord"])
def test_what_a_reward_raises_goes_up(method: Method, tmp_path: Path) -> None:
    class UsersError(Exception):
        """A user's own."""

    def fails(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        raise UsersError("in the reward")

    run = Run(tiny_policy(), tmp_path, replace(toy_task(16), reward=fails))
    with pytest.raises(UsersError, match="in the reward"):
        run.update(method, settings_of(method, max_steps=2))
    assert run.digest == tiny_digest()
    assert "forward" not in vars(run.policy.model)


@pytest.mark.parametrize("method", ["sft", "chord"])
def test_a_template_that_never_ends_the_answer_is_refused(method: Method, tmp_path: Path) -> None:
    policy = tiny_policy()
    policy.tokenizer.chat_template = policy.tokenizer.chat_template.replace("<|end|>", "")
    with pytest.raises(ModelError, match="never learn to stop"):
        Run(policy, tmp_path).update(method, settings_of(method, max_steps=1))


def test_tasks_that_a_method_cannot_learn_are_refused_beforehand() -> None:
    task = toy_task(16)
    bare = replace(task, train=(*task.train, replace(task.train[0], demonstration=None)))
    for method in ("sft", "chord"):
        with pytest.raises(DataError, match=r"^here: .*lacks demonstrations for 1 of its 17"):
            check_settings(method, settings_of(method), "here", bare)
    check_settings("rl", settings_of("rl"), "here", bare)
    for method in ("rl", "chord"):
        with pytest.raises(ConfigError, match="has no reward"):
            check_settings(method, settings_of(method), "here", replace(task, reward=None))
    check_settings("sft", settings_of("sft"), "here", replace(task, reward=None))
    with pytest.raises(DataError, match="2 training items, but `rl` samples for 8 prompts"):
        check_settings("rl", RlTrain(), "here", toy_task(2))
    with pytest.raises(DataError, match="no training items"):
        check_settings("sft", SftTrain(), "here", replace(task, train=()))
    with pytest.raises(DataError, match="mixes prompts"):
        check_settings("sft", SftTrain(), "here", replace(task, train=task.train + toy_task(1, chat=False).train))
