"""That the on-policy methods learn, and what."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.methods.sdft import teacher_prompt
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.curriculum.task import Task
from tests.agent.worlds.language.jobs import settings_of
from tests.agent.worlds.language.on_policy import move
from tests.agent.worlds.language.runs import SECTIONS, Run, based, end
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_policy
from tests.agent.worlds.language.toy import toy_task


def first_is_vowel(items: Any, completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """Easy: a random model is right once in ten times."""
    return [float(text[:1] in tuple("aeiou")) for text in completions]


LEARNERS: list[tuple[str, dict[str, Any]]] = [
    ("tilt", {"samples_from": "base"}),
    ("gate", {"success_reward": 0.5}),
]


@pytest.mark.parametrize(("method", "more"), LEARNERS)
def test_an_easy_task_is_learned(method: str, more: dict[str, Any], tmp_path: Path) -> None:
    """Twenty steps from 5/49 right: a demonstration begins with a vowel too."""
    task = toy_task(8)
    items = tuple(replace(item, demonstration="a") for item in task.train)
    shared: dict[str, Any] = {"learning_rate": 1e-2, "warmup_steps": 0, "max_steps": 20}
    shared |= {"num_generations": 8, "max_completion_length": 1}
    settings = settings_of(method, **shared, **{method: more})
    policy = based(tmp_path / "base")
    Run(policy, tmp_path / "run", Task("easy", items, (), first_is_vowel)).update(method, settings)
    answers = LanguagePolicy(policy.model, policy.tokenizer).respond(
        [item.prompt for item in task.train], max_completion_length=1, batch_size=8, temperature=1.0, num_samples=16
    )
    right = [reward or 0.0 for texts in answers for reward in first_is_vowel([], texts)]
    assert sum(right) / len(right) > 0.6


def test_tilt_goes_to_the_tilted_base_and_rl_to_the_likeliest_answer(tmp_path: Path) -> None:
    """Both are nearly always right in the end; what they say then lies near π0·R, and far from it (docs/theory.md)."""
    start = tiny_policy()
    move(start, 0.25)  # the five vowels are not alike: the likeliest has half of their mass
    start.model.save_pretrained(tmp_path / "base")
    task = Task("vowels", toy_task(4).train, (), first_is_vowel)
    vowels = start.tokenizer.convert_tokens_to_ids(list("aeiou"))

    def right_PC(policy: TinyPolicy) -> Tensor:
        rows = [encode_prompt(policy.tokenizer, item.prompt) for item in task.train]
        with torch.no_grad():
            return torch.stack([policy.model(torch.tensor([row])).logits[0, -1].softmax(-1)[vowels] for row in rows])

    tilted_PC = right_PC(based(tmp_path / "base"))
    tilted_PC /= tilted_PC.sum(-1, keepdim=True)
    shared: dict[str, Any] = {"learning_rate": 1e-2, "warmup_steps": 0, "max_steps": 25}
    shared |= {"num_generations": 16, "max_completion_length": 1, "per_device_train_batch_size": 64}
    distances = []
    for method in ("tilt", "rl"):
        policy = based(tmp_path / "base")
        Run(policy, tmp_path / method, task).update(method, settings_of(method, **shared))
        masses_PC = right_PC(policy)
        accuracy_P1 = masses_PC.sum(-1, keepdim=True)
        assert accuracy_P1.min() > 0.9
        inside_PC = masses_PC / accuracy_P1
        distances.append((inside_PC * (inside_PC / tilted_PC).log()).sum(-1).mean().item())
    assert distances[0] < 0.2
    assert distances[0] < distances[1] / 2


def share_of_e(policy: TinyPolicy, prompts: Sequence[Any]) -> float:
    """How often the sampled answer is "e"."""
    answers = LanguagePolicy(policy.model, policy.tokenizer).respond(
        prompts, max_completion_length=1, batch_size=8, temperature=1.0, num_samples=8
    )
    return sum(text == "e" for texts in answers for text in texts) / (8 * len(prompts))


@pytest.mark.parametrize("decay", [1.0, 0.9])
def test_what_the_policy_does_when_it_is_shown_the_answer_it_learns_to_do_without(decay: float, tmp_path: Path) -> None:
    """A model that says "z", and "e" where it is told "like e", is taught by itself to say "e"."""
    policy, task = tiny_policy(), toy_task(8)
    items = tuple(replace(item, demonstration="e") for item in task.train)
    told = tuple(replace(item, prompt=teacher_prompt(SECTIONS["sdft"]["teacher_template"], item)) for item in items)
    both = told + tuple(replace(item, demonstration="z") for item in items)
    shared: dict[str, Any] = {"learning_rate": 1e-2, "warmup_steps": 0, "per_device_train_batch_size": 16}
    end("sft", settings_of("sft", **shared, max_steps=60), replace(task, train=both), tmp_path / "sft", policy)
    assert share_of_e(policy, [item.prompt for item in told]) > 0.9
    prompts = [item.prompt for item in items]
    assert share_of_e(policy, prompts) < 0.1
    own = SECTIONS["sdft"] | {"max_completion_length": 1, "teacher_decay": decay}
    settings = settings_of("sdft", **shared, max_steps=8, sdft=own)
    run = end("sdft", settings, replace(task, train=items, reward=None), tmp_path / "sdft", policy)
    assert share_of_e(policy, prompts) > 0.9
    assert run.losses[-1] < 0.01 * run.losses[0]
