"""The documented rule, on figures and on a policy."""

from dataclasses import replace

import pytest

from perdure.agent.strategies.rule import RuleOfThumb, apply_rule, pass_rates
from perdure.curriculum.strategies import RuleStrategy
from perdure.curriculum.task import Item
from tests.agent.strategies.situations import Trials, curriculum, reading, situation

CONFIG = RuleStrategy(type="rule", success=0.05, little_budget=0.5)


@pytest.mark.parametrize(
    ("demonstrations", "pass_k", "left", "method"),
    [
        (False, 0.0, 1.0, "rl"),
        (True, 0.04, 1.0, "sft"),
        (True, 0.05, 0.5, "rl"),
        (True, 0.05, 0.51, "chord"),
    ],
)
def test_the_rule(demonstrations: bool, pass_k: float, left: float, method: str) -> None:
    assert apply_rule(CONFIG, demonstrations, pass_k, left, {}).method == method


def test_rates_of_samples_and_of_prompts() -> None:
    # five of eight samples succeed, and two of the three prompts at least once; what is not judged is no success
    rewards = [[1.0, 0.5, 1.0, 0.4], [1.0, 1.0], [None, 0.0]]
    assert pass_rates(rewards, 0.5) == (pytest.approx(5 / 8), pytest.approx(2 / 3))


def bare(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(replace(item, demonstration=None) for item in items)


def test_on_a_policy_it_looks_at_samples_the_budget_and_what_there_is_to_learn_from() -> None:
    here = situation(curriculum({"type": "rule"}), Trials({"sft": {}, "rl": {}, "chord": {}}))
    # the policy answers 0.0, which is right
    decision = RuleOfThumb(CONFIG).choose(here)
    assert decision.method == "chord"
    assert decision.evidence["pass_at_k"] == 1 and decision.evidence["budget_left"] == 1
    assert [one.method for one in decision.candidates] == ["sft", "rl", "chord"]
    only = RuleOfThumb(CONFIG).choose(
        replace(here, methods=("rl",), task=replace(here.task, train=bare(here.task.train)))
    )
    assert only.method == "rl"
    assert [one.figures["possible"] for one in only.candidates] == [0.0, 1.0, 0.0]
    assert RuleOfThumb(CONFIG).choose(replace(here, entry=reading(0.9))).method == "rl"
    # `chord` reads one answer to a prompt, and a task that is played in turns has none
    played = RuleOfThumb(CONFIG).choose(replace(here, methods=("sft", "rl")))
    assert played.method == "rl" and played.reason.endswith("; chord cannot learn the task")
    assert RuleOfThumb(CONFIG).choose(replace(here, task=replace(here.task, reward=None))).method == "sft"


def test_its_methods_may_be_combinations() -> None:
    config = RuleStrategy(type="rule", imitate="sft+replay", reinforce="rl+kl+replay", both="chord+replay")
    assert apply_rule(config, False, 0.0, 1.0, {}).method == "rl+kl+replay"
    assert apply_rule(config, True, 0.0, 1.0, {}).method == "sft+replay"
    methods = ("replay", "rl+replay+kl", "chord+replay")
    here = situation(curriculum({"type": "rule"}), Trials({}), methods=methods)
    decision = RuleOfThumb(config).choose(here)
    assert decision.method == "chord+replay"
    assert [one.method for one in decision.candidates] == list(methods)
    assert all(one.figures["possible"] for one in decision.candidates)
