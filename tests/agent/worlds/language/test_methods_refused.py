"""Tasks, settings and models that a method refuses before anything is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.plugin import check
from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import method_of, settings_of
from tests.agent.worlds.language.runs import Run, small
from tests.agent.worlds.language.tiny_world import tiny_policy
from tests.agent.worlds.language.toy import toy_task

TASK = toy_task(16)
BARE = replace(TASK, train=tuple(replace(item, demonstration=None) for item in TASK.train))
UNJUDGED = replace(TASK, reward=None)


def checked(name: str, task: Task, settings: MethodSettings | None = None) -> None:
    check(method_of(name), settings or small(name), task, ())


@pytest.mark.parametrize("name", ["sft", "chord", "gate", "sdft", "replay", "sdft+kl"])
def test_what_imitates_needs_every_demonstration(name: str) -> None:
    with pytest.raises(DataError, match="lacks demonstrations for 16 of its 16"):
        checked(name, BARE)
    with pytest.raises(DataError, match=r"^task 'toy' lacks demonstrations for 1 of its 17"):
        checked(name, replace(TASK, train=(*TASK.train, BARE.train[0])))
    if name not in ("chord", "gate"):
        checked(name, UNJUDGED)


@pytest.mark.parametrize("name", ["rl", "chord", "tilt", "gate", "rl_kl", "rl+replay"])
def test_what_is_rewarded_needs_a_reward(name: str) -> None:
    with pytest.raises(ConfigError, match="has no reward"):
        checked(name, UNJUDGED)
    if name not in ("chord", "gate"):
        checked(name, BARE)


def test_items_must_be_there_of_one_kind_and_enough_for_a_step() -> None:
    with pytest.raises(DataError, match="2 training items, but `rl` samples for 8 prompts"):
        checked("rl", toy_task(2), settings_of("rl"))
    with pytest.raises(DataError, match="no training items"):
        checked("sft", replace(TASK, train=()))
    with pytest.raises(DataError, match="mixes prompts"):
        checked("sft", replace(TASK, train=TASK.train + toy_task(1, chat=False).train))


@pytest.mark.parametrize("name", ["sft", "chord", "gate"])
def test_a_template_that_never_ends_the_answer_is_refused(name: str, tmp_path: Path) -> None:
    policy = tiny_policy()
    policy.tokenizer.chat_template = policy.tokenizer.chat_template.replace("<|end|>", "")
    with pytest.raises(ModelError, match="never learn to stop"):
        Run(policy, tmp_path).update(name, small(name, max_steps=1))


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("tilt", {"num_generations": 1}, "num_generations is 1, and TRL samples at least 2"),
    ("tilt", {"trl": {"temperature": 0.7}}, "temperature must be 1.0: the weights"),
    ("tilt", {"trl": {"top_p": 0.9}}, "top_p must be 1.0"),
    ("tilt", {"trl": {"beta": 0.0}}, "beta would do nothing"),
    ("sdft", {"trl": {"loss_type": "dapo"}}, "loss_type would do nothing"),
    ("sdft", {"trl": {"num_generations": 1}}, "num_generations is 1"),
    ("eaft", {"trl": {"loss_type": "dft"}}, "loss_type would do nothing"),
    ("eaft", {"trl": {"label_smoothing_factor": 0.1}}, "label_smoothing_factor would do nothing"),
    (
        "rl",
        {"trl": {"chat_template_kwargs": {"enable_thinking": False}}},
        "chat_template_kwargs cannot be set: prompts",
    ),
]


@pytest.mark.parametrize(("name", "own", "message"), REFUSALS)
def test_settings_that_a_method_cannot_have_are_refused(name: str, own: dict[str, Any], message: str) -> None:
    for whole in (name, f"{name}+replay"):
        written = whole.replace("+", r"\+")
        with pytest.raises(ConfigError, match=rf"^train settings of `{written}`: (trl\.)?{message}"):
            checked(whole, TASK, settings_of(whole, **{name: own}))
