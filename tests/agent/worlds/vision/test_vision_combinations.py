"""Objectives with modifiers: another end than without, the same alone and in a stack, replayed images by their rule."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from perdure.agent.worlds.schedule import plan_for
from perdure.agent.worlds.vision.mlp import Params, member
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.training import StackStep, train
from tests.agent.worlds.vision.test_vision_hybrids import after, earlier, same
from tests.agent.worlds.vision.test_vision_training import IMAGES, base_of_one, tensors
from tests.curriculum.methods import method_of, settings_of

COMBINATIONS = ("rl+replay", "chord+replay", "tilt+replay", "sft+replay+kl", "rl+ewc", "gate+l2+low_rank")
STRONG: Mapping[str, Any] = {"replay": {"replay_ratio": 0.5}, "kl": {"beta": 1.0}}


def second() -> TaskTensors:
    """A tensors after another one."""
    return replace(tensors(base_of_one()), earlier=(earlier(),))


def ended(name: str, seeds: list[int], what: TaskTensors, seen: list[StackStep] | None = None) -> Params:
    """A stack of the base after some steps."""
    method = method_of(name)
    settings = settings_of(name, max_steps=12, per_device_train_batch_size=8, learning_rate=1e-2, **STRONG)
    stacked = {key: tensor.repeat(len(seeds), *[1] * (tensor.dim() - 1)) for key, tensor in base_of_one().items()}
    plans = [plan_for(method, settings.objective, IMAGES)] * len(seeds)

    def after_step(step: StackStep) -> bool:
        if seen is not None:
            seen.append(step)
        return False

    train(stacked, what, method, settings, plans, seeds, after_step)
    return stacked


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_combination_trains_and_is_not_its_objective(name: str) -> None:
    found = ended(name, [5], second())
    assert all(tensor.isfinite().all() for tensor in found.values())
    objective, *modifiers = name.split("+")
    assert not same(found, ended(objective, [5], second()))
    for modifier in modifiers if len(modifiers) > 1 else ():
        assert not same(found, ended(f"{objective}+{modifier}", [5], second())), "each modifier does something"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_combination_is_the_same_alone_and_in_a_stack(name: str) -> None:
    stacked = ended(name, [5, 6, 7], second())
    for index, seed in enumerate((5, 6, 7)):
        alone = ended(name, [seed], second())
        assert all(torch.equal(tensor, alone[key][0]) for key, tensor in member(stacked, index).items())


@pytest.mark.parametrize("objective", ["rl", "chord", "tilt", "reinforce", "simpo", "gate"])
def test_replay_without_an_earlier_task_changes_no_bit(objective: str) -> None:
    assert same(
        ended(f"{objective}+replay", [5], tensors(base_of_one())), ended(objective, [5], tensors(base_of_one()))
    )


def test_what_samples_replays_tasks_that_nobody_wrote_for_and_what_imitates_does_not() -> None:
    unwritten = replace(tensors(base_of_one()), earlier=(earlier(writes=False),))
    assert not same(ended("rl+replay", [5], unwritten), ended("rl", [5], unwritten))
    assert same(ended("chord+replay", [5], unwritten), ended("chord", [5], unwritten))


@pytest.mark.parametrize("name", ["rl+replay", "chord+replay", "tilt+replay", "reinforce+replay"])
def test_replayed_images_are_judged_by_their_own_tasks_rule(name: str) -> None:
    # No label is right for the task's own images and every one for the earlier task's, which are half of each batch.
    own = tensors(base_of_one())
    own = replace(own, correct_NC=torch.zeros_like(own.correct_NC))
    other = replace(earlier(), correct_NC=torch.ones(10, 4), choices_NC=torch.ones(10, 4) / 4)
    steps: list[StackStep] = []
    ended(name, [5], replace(own, earlier=(other,)), steps)
    assert [float(step.reward_M[0]) for step in steps if step.reward_M is not None] == [0.5] * 12


@pytest.mark.parametrize(
    ("recipe", "combination", "settings"),
    [
        ("replay", "sft+replay", {}),
        ("sft_kl", "sft+kl", {}),
        ("ewc", "sft+ewc", {}),
        ("l2", "sft+l2", {}),
        ("lora", "sft+low_rank", {}),
        ("eaft", "sft", {"token_weight": "entropy"}),
        ("low_lr_sft", "sft", {"learning_rate": 1e-3}),
        ("rl_kl", "rl", {"beta": 0.1}),
        ("dr_grpo", "rl", {}),
        ("grpo", "rl", {"scale_rewards": "group"}),
    ],
)
def test_a_recipe_is_its_combination_to_the_bit(recipe: str, combination: str, settings: dict[str, Any]) -> None:
    own = {"learning_rate": 1e-3} if recipe == "low_lr_sft" else {}
    assert same(after(recipe, own, second()), after(combination, settings, second()))
    plain = after(combination.partition("+")[0], {}, second())
    assert same(after(recipe, own, second()), plain) is (recipe == "dr_grpo")
