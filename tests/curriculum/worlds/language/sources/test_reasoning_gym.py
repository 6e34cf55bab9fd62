"""Tasks of reasoning-gym: fresh, repeatable, judged by their own verifiers."""

import os
import random
import re
from typing import Any

import numpy as np
import pytest

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Item, prompt_key
from perdure.curriculum.worlds.language.sources.reasoning_gym import Verifier
from perdure.eval.task_score import scorer_of
from tests.curriculum.methods import check_task, learnable_by
from tests.curriculum.worlds.language.sources.building import BY_REWARD, assert_disjoint, gym


def test_gym_items_are_fresh_and_repeatable() -> None:
    task = gym()
    assert (len(task.train), len(task.heldout), task.name) == (20, 10, "stage")
    assert_disjoint(task)
    assert task.fingerprint() == gym().fingerprint()
    assert {prompt_key(item) for item in task.heldout} & {prompt_key(item) for item in gym(seed=1).heldout} == set()
    assert task.train[0].prompt[0]["role"] == "user"
    assert isinstance(gym(chat=False).train[0].prompt, str)


def test_gym_held_out_items_do_not_depend_on_how_many_are_trained_on() -> None:
    assert gym(train=5).heldout == gym(train=40).heldout


def test_gym_rewards_by_its_own_verifier() -> None:
    # spell_backward's verifier: 1 for the answer, partial credit for letters in place, 0 or little for another
    task = gym("letter_counting")
    items = task.heldout[:4]
    right = str(items[0].answer)
    assert task.reward is not None
    assert task.reward(items, [str(item.answer) for item in items]) == [1.0] * 4
    assert task.reward(items[:3], [f"<answer> {right} </answer> I say", f" {right}\n", "x"])[0] == 1.0
    assert task.reward(items[:1], [f" {right}\n"]) == [1.0]
    assert task.reward(items[:1], ["x"]) == [0.0]


def test_gym_success_turns_a_graded_score_into_right_or_wrong() -> None:
    # base verifier: the right answer within a longer response scores len(answer)/len(response)
    graded, binary, lenient = (gym("simple_equations", success=success) for success in (None, 1.0, 0.3))
    item = graded.heldout[0]
    answer = str(item.answer)
    response = answer + "." * len(answer)  # half of it is the answer
    scores = [task.reward([item], [response]) for task in (graded, binary, lenient) if task.reward is not None]
    assert scores == [[0.5], [0.0], [1.0]]


@pytest.mark.parametrize("timeout", [5, 0])
def test_gym_scores_by_another_threshold_are_other_scores(timeout: float) -> None:
    reward = {"type": "source", "timeout": timeout}
    tasks = [gym("simple_equations", reward=reward, success=success) for success in (None, 1.0, 0.3)]
    assert len({task.fingerprint() for task in tasks}) == 1
    assert len({scorer_of(task) for task in tasks}) == 3
    assert scorer_of(tasks[0]) == Verifier.scorer_name  # as those of earlier versions


def test_gym_takes_another_reward_by_name() -> None:
    task = gym(reward={"type": "numeric"})
    assert task.reward is not None
    assert task.reward(task.heldout[:1], [f"It is {task.heldout[0].answer}."]) == [1.0]


def test_gym_verifier_that_fails_scores_nothing() -> None:
    task = gym("number_sorting", success=None)
    assert task.reward is not None
    assert task.reward(task.heldout[:2], ["[[[", '[{"a": 1}]']) == [0.0, 0.0]


def test_gym_levels_are_its_curriculum() -> None:
    # chain_sum: level 0 has at most 2 terms of at most 10 digits' range, the hardest level far more
    lengths = [max(len(item.prompt[0]["content"]) for item in gym(level=level).train) for level in (0, 3)]
    assert lengths[0] < lengths[1]
    narrow = gym(level=3, config={"min_terms": 2, "max_terms": 2})  # `config` wins
    assert all(len(re.findall(r" [-+] ", item.prompt[0]["content"])) == 1 for item in narrow.train)


def test_gym_leaves_the_global_generators_alone() -> None:
    random.seed(7)
    np.random.seed(7)
    before = (random.getstate(), np.random.get_state()[1].tolist())
    first = gym("pool_matrix", train=3, heldout=2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    random.seed(8)
    assert gym("list_functions", train=5).fingerprint() == gym("list_functions", train=5).fingerprint()
    assert first.train


def test_gym_composite() -> None:
    parts = [{"name": "gcd", "weight": 1, "config": {}}, {"name": "lcm", "weight": 1, "config": {}}]
    task = gym("composite", config={"datasets": parts})
    assert {item.columns["entry"]["metadata"]["source_dataset"] for item in task.train} == {"gcd", "lcm"}
    assert task.reward is not None
    assert task.reward(task.train, [str(item.answer) for item in task.train]) == [1.0] * 20


def test_gym_tasks_without_answers_are_for_rl() -> None:
    task = gym("graph_color", train=3, heldout=2)
    assert learnable_by(task) == BY_REWARD
    with pytest.raises(
        ConfigError,
        match=r"'sft' needs demonstrations, .* it can be learned by 'rl', 'tilt', 'rl_kl', 'grpo' or 'dr_grpo'",
    ):
        check_task(task, "sft")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dataset": "chainsum"}, "no such dataset; did you mean 'chain_sum'"),
        ({"config": {"min_term": 2}}, "no setting 'min_term'; did you mean 'min_terms'"),
        ({"config": {"min_terms": "two"}}, r"`config.min_terms`: .*integer.*not 'two'"),
        ({"config": {"min_terms": 5, "max_terms": 2}}, "refuses `config`: max_terms must be >= min_terms"),
        ({"config": {"min_terms": 0}}, "refuses `config`: min_terms must be positive"),
        ({"level": 99}, r"levels 0 to \d+, not 99"),
        ({"dataset": "composite", "level": 1, "config": {"datasets": []}}, "no difficulty levels"),
        ({"dataset": "composite"}, "Must specify at least one dataset"),
    ],
)
def test_gym_refuses(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gym(**config)


def test_gym_says_how_many_items_there_are() -> None:
    # sums and differences of two one-digit numbers: 10 · 10 · 2 = 200 different prompts
    one_digit = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    with pytest.raises(DataError, match="gave only 200 different items"):
        gym(config=one_digit, train=1000)
    assert len(gym(config=one_digit, train=150).train) == 150


def test_gym_refuses_items_that_change_with_the_hash_seed() -> None:
    if os.environ.get("PYTHONHASHSEED", "random") != "random":
        pytest.skip("PYTHONHASHSEED is set")
    with pytest.raises(ConfigError, match="start perdure with PYTHONHASHSEED=0"):
        gym("word_ladder")


def test_items_keep_what_the_source_knows() -> None:
    item = gym("gcd").train[0]
    assert isinstance(item, Item)
    assert item.columns["entry"]["metadata"]["source_dataset"] == "gcd"


@pytest.mark.parametrize(
    ("dataset", "config", "said"),
    [
        ("game_of_life", {"grid_size_x": 10_000}, "grid_size_x must be"),
        ("chain_sum", {"min_terms": 10_000, "max_terms": 10_000, "min_digits": 30, "max_digits": 30}, "characters"),
    ],
)
def test_gym_refuses_items_that_are_too_large(dataset: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        gym(dataset, config=config)
