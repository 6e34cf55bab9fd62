"""Modifiers beside objectives that sample, and recipes against the combinations that they name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerState

from perdure.agent.seeds import derive
from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.language import plugin
from perdure.agent.worlds.language.methods.low_rank import matrices
from perdure.agent.worlds.language.methods.replay import RewardByTask, mixture
from perdure.agent.worlds.language.methods.terms import kl_loss
from perdure.agent.worlds.language.trl.config import build_config
from perdure.budget.errors import DataError
from perdure.budget.estimate import per_token
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.language.rewards.trl import as_trl, from_trl
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.language.jobs import job_of, method_of, settings_of
from tests.agent.worlds.language.on_policy import PLAIN, move
from tests.agent.worlds.language.runs import QUICK, SAMPLING, based, end, loader, small
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, TinyPolicy, tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task

SAMPLERS = ("rl", "chord", "gate", "tilt", "sdft")


def task_of(name: str, size: int, reward: float | None, *, demonstrations: bool = True, chat: bool = True) -> Task:
    """The toy task with items that know their task, rewarded by a constant; every answer is a letter."""
    items = toy_task(size, chat=chat).train
    named = (replace(one, demonstration="a" if demonstrations else None, columns={"of": name}) for one in items)

    def judge(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        assert {item.columns["of"] for item in items} == {name}
        assert [len(ids) for ids in completion_ids or [[0]] * len(items)] == [1] * len(items)
        return [reward] * len(items)

    return Task(name, tuple(named), (), None if reward is None else judge)


# replay


def test_each_prompt_is_judged_by_its_own_tasks_reward(tmp_path: Path) -> None:
    """A pass asks 16 new and 10 old prompts, and the latter are the former's first: 16/26 of the answers have a 1."""
    settings = small(
        "rl+replay",
        **{"num_generations": 2, "max_completion_length": 1, "per_device_train_batch_size": 4},
        replay={"replay_ratio": 0.5},
    )
    run = end("rl+replay", settings, task_of("new", 16, 1.0), tmp_path, earlier=(task_of("old", 10, 0.0),))
    rewards = [progress.reward or 0.0 for progress in run.seen]
    assert len(rewards) == 13
    assert sum(rewards) / 13 == pytest.approx(16 / 26)


def test_answers_of_several_tasks_are_judged_at_once() -> None:
    new, old, bare = task_of("new", 2, 1.0), task_of("old", 2, 0.5), task_of("bare", 1, None)
    judge = RewardByTask([new, old, bare])
    items = [old.train[0], new.train[1], bare.train[0], old.train[1], new.train[0]]
    assert judge(items, ["x"] * 5, [[7]] * 5) == [0.5, 1.0, None, 0.5, 1.0]
    assert judge(items, ["x"] * 5) == [0.5, 1.0, None, 0.5, 1.0]


def test_items_that_two_tasks_share_are_judged_by_each_for_itself() -> None:
    shared = toy_task(8).train

    def paying(reward: float) -> Any:
        return lambda items, *_: [reward] * len(items)

    new, old = (Task(name, shared, (), paying(pays)) for name, pays in (("new", 1.0), ("old", 0.5)))
    mixed = mixture(job_of("rl+replay", None, new, Path(), settings_of("rl+replay"), earlier=(old,)), ratio=0.5, seed=0)
    assert mixed.reward is not None and len(mixed.train) == 16
    assert mixed.reward(mixed.train, ["x"] * 16) == [1.0] * 8 + [0.5] * 8


def test_a_replayed_reward_of_trls_form_is_told_how_far_training_is() -> None:
    logged: list[tuple[str, float]] = []

    def by_step(completions: Any, trainer_state: Any, log_metric: Any, log_extra: Any, **_: Any) -> list[float]:
        log_metric("asked", len(completions))
        log_extra("text", completions)
        return [float(trainer_state.global_step)] * len(completions)

    new, old = task_of("new", 1, 0.5), replace(task_of("old", 2, None), reward=from_trl(by_step))
    reward = as_trl(RewardByTask([new, old]), (*new.train, *old.train))
    told = {"trainer_state": TrainerState(global_step=7), "log_metric": lambda *one: logged.append(one)}
    found = reward(["x"] * 3, [1, 0, 2], completion_ids=[[7]] * 3, log_extra=None, **told)
    assert (found, logged) == ([7.0, 0.5, 7.0], [("asked", 2)])


LACKING = {"bare": task_of("bare", 6, 1.0, demonstrations=False), "unjudged": task_of("unjudged", 6, None)}


@pytest.mark.parametrize(
    ("name", "replayed"),
    [
        ("sft", {"whole", "unjudged"}),
        ("rl", {"whole", "bare"}),
        ("tilt", {"whole", "bare"}),
        ("chord", {"whole"}),
        ("gate", {"whole"}),
        ("sdft", {"whole", "unjudged"}),
    ],
)
def test_earlier_tasks_that_lack_what_the_objective_needs_are_left_out(name: str, replayed: set[str]) -> None:
    earlier = (task_of("whole", 6, 1.0), *LACKING.values())
    job = job_of(f"{name}+replay", None, toy_task(16), Path(), settings_of(f"{name}+replay"), earlier=earlier)
    items = mixture(job, ratio=0.5, seed=0).train[16:]
    assert {item.columns["of"] for item in items} == replayed


@pytest.mark.parametrize("name", SAMPLERS)
def test_replay_with_nothing_to_replay_changes_no_bit(name: str, tmp_path: Path) -> None:
    runs = []
    for whole in (name, f"{name}+replay"):
        policy = based(tmp_path / "base")
        runs.append(end(whole, small(whole, max_steps=3), toy_task(16), tmp_path / whole, policy))
    assert runs[0].seen == runs[1].seen
    assert runs[0].digests == runs[1].digests


def test_self_distillation_replays_demonstrations_of_a_task_without_a_reward(tmp_path: Path) -> None:
    """The reward that is reported is that of the task's own answers."""
    settings = small("sdft+replay", max_steps=12, max_completion_length=1, replay={"replay_ratio": 0.5})
    task = task_of("new", 16, 1.0)
    with_old = end("sdft+replay", settings, task, tmp_path / "a", earlier=(task_of("old", 16, None),))
    alone = end("sdft+replay", settings, task, tmp_path / "b")
    assert {progress.reward for progress in with_old.seen} == {1.0}
    assert with_old.digests[-1] != alone.digests[-1]


@pytest.mark.parametrize("name", SAMPLERS)
def test_prompts_of_another_form_are_refused_before_anything_is_trained(name: str, tmp_path: Path) -> None:
    whole, task = f"{name}+replay", toy_task(16)
    settings, other = small(whole), task_of("old", 6, 1.0, chat=False)
    with pytest.raises(DataError, match=f"'toy' asks by messages and task 'old' by text, and `{name}.replay`"):
        plugin.check(method_of(whole), settings, task, (other,))
    with pytest.raises(DataError, match="'old' asks by text and task 'toy' by messages"):
        plugin.check(method_of(whole), settings, task_of("old", 16, 1.0, chat=False), (task,))
    policy = tiny_policy()
    with pytest.raises(DataError, match="replays prompts of one form"):
        end(whole, settings, task, tmp_path, policy, earlier=(other,))
    assert digest(trainable(policy.model)) == digest(trainable(tiny_policy().model))
    plugin.check(method_of(whole), settings, task, (replace(other, reward=None, train=()),))  # it is left out


# kl, ewc, l2, low_rank


def away(folder: Path) -> TinyPolicy:
    """A policy away from the base of its texts."""
    policy = with_base(based(folder))
    beside = TinyPolicy(policy.model, policy.tokenizer, policy.base, loader(folder))
    move(beside, 0.1)
    return beside


def changes(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: one[name] - other[name] for name in one}


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two changes agree to a thousandth of the largest."""
    largest = max(tensor.abs().max().item() for tensor in other.values())
    return largest > 1e-5 and all(torch.allclose(one[name], other[name], rtol=0, atol=largest / 1000) for name in other)


@pytest.mark.parametrize("name", SAMPLERS)
def test_kl_adds_its_loss_and_its_gradient_to_what_samples(name: str, tmp_path: Path) -> None:
    """One step of SGD at 0.1: the weights differ by -0.1 · 2 · the gradient of KL, the losses by 2 · KL."""
    policy = away(tmp_path / "base")
    job = job_of(name, policy, toy_task(16), tmp_path, settings_of(name), texts=BASE_GROUPS)
    kl = kl_loss(job, seed=derive(5, "sft_kl")).backward(0, 1.0, Tensor.backward)
    slopes = {key: -0.1 * 2.0 * one.grad for key, one in policy.model.named_parameters()}
    runs = []
    for whole in (name, f"{name}+kl"):
        shared = PLAIN | {"max_steps": 1, "per_device_train_batch_size": 8, "kl": {"beta": 2.0}}
        settings = small(whole, **shared)
        start = away(tmp_path / "base")
        runs.append(end(whole, settings, toy_task(16), tmp_path / whole, start, texts=BASE_GROUPS))
    assert float(kl) > 1e-3
    assert runs[1].losses[0] - runs[0].losses[0] == pytest.approx(2 * float(kl), rel=1e-3)
    assert close(changes(trainable(runs[1].policy.model), trainable(runs[0].policy.model)), slopes)


@pytest.mark.parametrize("name", ["rl", "chord"])
def test_l2_pulls_what_samples_back_to_its_start(name: str, tmp_path: Path) -> None:
    """The first step is the objective's own; the second differs by -0.1 · 3 · the first step's change."""
    start, ends = trainable(tiny_policy().model), []
    for whole, steps in ((name, 1), (name, 2), (f"{name}+l2", 2)):
        settings = small(whole, **PLAIN, max_steps=steps, l2={"l2_lambda": 3.0}, lr_scheduler_type="constant")
        ends.append(end(whole, settings, toy_task(16), tmp_path / f"{whole}-{steps}"))
    assert ends[2].digests[0] == ends[1].digests[0] == ends[0].digest
    first, second, held = (trainable(run.policy.model) for run in ends)
    pull = {key: -0.1 * 3.0 * one for key, one in changes(first, start).items()}
    assert close(changes(held, second), pull)


def test_ewc_holds_what_samples_near_the_base(tmp_path: Path) -> None:
    kls = []
    for name in ("rl", "rl+ewc"):
        policy = with_base(tiny_policy())
        settings = settings_of(name, **QUICK, **SAMPLING, max_steps=6, ewc={"ewc_lambda": 1e5, "fisher_items": 12})
        end(name, settings, toy_task(16), tmp_path / name, policy, texts=BASE_GROUPS)  # type: ignore[arg-type]
        kls.append(per_token(policy.base.texts.measure(BASE_GROUPS).kl_base_to_policy).value)
    assert kls[1] < 0.8 * kls[0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_low_rank_gives_what_samples_an_update_of_low_rank(name: str, tmp_path: Path) -> None:
    whole, policy = f"{name}+low_rank", based(tmp_path / "base")
    run = end(whole, small(whole, max_steps=3, low_rank={"r": 2}), toy_task(16), tmp_path / whole, policy)
    trained = matrices(policy.model)
    for key, change in changes(trainable(run.policy.model), trainable(tiny_policy().model)).items():
        assert (torch.linalg.matrix_rank(change, rtol=1e-3) == 2) if key in trained else not change.any(), key


# recipes


def test_a_recipe_that_only_abbreviates_is_its_combination() -> None:
    found = {one.name: one.combination for one in spec_of("language").recipes if one.is_abbreviation}
    assert found == {
        "sft_kl": "sft+kl",
        "replay": "sft+replay",
        "ewc": "sft+ewc",
        "l2": "sft+l2",
        "lora": "sft+low_rank",
    }
    assert all(method_of(combination) == method_of(name) for name, combination in found.items())


EQUALS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("sft_kl", {"sft_kl": {"beta": 0.3}}, "sft+kl", {"kl": {"beta": 0.3}}),
    ("lora", {"lora": {"r": 2}}, "sft+low_rank", {"low_rank": {"r": 2}}),
    ("eaft", {}, "sft", {"sft": {"token_weight": "entropy"}}),
    ("low_lr_sft", {}, "sft", {"sft": {"learning_rate": QUICK["learning_rate"] * 0.1}}),
    ("rl_kl", {}, "rl", {"rl": {"beta": 0.1}}),
    ("dr_grpo", {}, "rl", {}),
    ("grpo", {}, "rl", {"rl": {"loss_type": "grpo", "scale_rewards": "group"}}),
]


@pytest.mark.parametrize(("recipe", "own", "name", "same"), EQUALS, ids=str)
def test_a_recipe_is_its_combination_to_the_bit(
    recipe: str, own: dict[str, Any], name: str, same: dict[str, Any], tmp_path: Path
) -> None:
    runs = []
    for folder, whole, more in (
        ("recipe", recipe, own),
        ("same", name, same),
        ("objective", name.split("+", maxsplit=1)[0], {}),
    ):
        policy = away(tmp_path / "base")
        settings = small(whole, max_steps=3, **more)
        runs.append(end(whole, settings, toy_task(16), tmp_path / folder, policy, texts=BASE_GROUPS))
    assert runs[0].digests == runs[1].digests
    assert (runs[0].digests == runs[2].digests) is (recipe == "dr_grpo")


def test_recipes_of_rl_are_what_their_names_say() -> None:
    def loss_of(name: str, **given: Any) -> tuple[str, str]:
        settings = settings_of(name, **given).objective
        config = build_config(method_of(name), settings, folder=Path(), seed=0, device_type="cpu", autocast="None")
        return config.loss_type, config.scale_rewards

    assert loss_of("grpo") == ("grpo", "group")
    assert loss_of("dr_grpo") == loss_of("rl") == ("dr_grpo", "none")
    shared = {"loss_type": "bnpo", "scale_rewards": "batch"}
    assert loss_of("grpo", rl=shared) == ("grpo", "group")
    assert loss_of("grpo", grpo=shared) == ("bnpo", "batch")
