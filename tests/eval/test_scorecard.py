"""The scorecard: rewards on greedy answers, one file a score, nothing scored twice, nothing disturbed."""

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.benchmarks import BenchmarkSet, prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from perdure.eval.scorefile import ItemResult, file_name, key_of, read_scores
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.eval.lm_task_files import write_task

EVALUATION = Evaluation(batch_size=4, max_completion_length=8)


class Parrot:
    """Answers every prompt by a rule; counts how often it was asked."""

    def __init__(self, rule: Callable[[str], str] = str.upper, weights: str = "w0") -> None:
        self.rule, self.weights, self.asked = rule, weights, 0

    def respond(
        self, prompts: Sequence[Any], *, max_completion_length: int, batch_size: int, **_: Any
    ) -> list[list[str]]:
        self.asked += 1
        return [[self.rule(prompt)[:max_completion_length]] for prompt in prompts]

    def fingerprint(self) -> str:
        return self.weights


class Causal(Parrot):
    """The same with a model, for benchmarks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.model, self.tokenizer = tiny_policy_parts()


def task(reward: Any, name: str = "upper") -> Task:
    items = [
        Item(prompt=word, answer=word.upper(), demonstration=f" {word.upper()}") for word in ("ab", "cd", "ef", "gh")
    ]
    return Task(name, train=(), heldout=tuple(items), reward=reward)


def exact(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    return [float(item.answer == text) for item, text in zip(items, completions, strict=True)]


def given(*rewards: Any) -> Any:
    """A reward that says what it was told to."""
    return lambda items, completions, completion_ids=None: list(rewards)


def only(card: Scorecard, policy: Any, row: str = "00-base") -> Any:
    ((score, file),) = card.score(policy, row)
    return score, file


def card(folder: Path, *tasks: Task, benchmarks: BenchmarkSet | None = None) -> Scorecard:
    return Scorecard(tasks, benchmarks or BenchmarkSet(), EVALUATION, folder)


def test_a_task_by_hand(tmp_path: Path) -> None:
    # three of four right: 0.75, variance 4/3 * 3/16 = 1/4, standard error sqrt(1/4 / 4) = 1/4
    score, file = only(card(tmp_path, task(exact)), Parrot(lambda word: "no" if word == "ef" else word.upper()))
    assert (score.name, score.kind, score.value, score.stderr, score.n) == ("upper", "task", 0.75, 0.25, 4)
    assert score.item_values == (1, 1, 0, 1)
    header, *rows = [json.loads(line) for line in (tmp_path / file).read_text().splitlines()]
    assert header["value"] == 0.75
    assert header["key"]["weights"] == "w0"
    assert [row["completion"] for row in rows] == ["AB", "CD", "no", "GH"]
    assert [row["id"] for row in rows] == list(score.item_ids)


def test_a_reward_that_does_not_apply_drops_the_item_and_nan_counts_zero(tmp_path: Path) -> None:
    score, file = only(card(tmp_path, task(given(1, None, math.nan, 0.5))), Parrot())
    assert (score.value, score.n, score.dropped, score.broken) == (0.5, 3, 1, 1)
    kept = read_scores(tmp_path / file)
    assert kept is not None
    assert kept.score == score
    assert [item.score for item in kept.items] == [1, None, 0, 0.5]
    assert "nan" in kept.items[2].details["note"]


def test_nothing_that_could_be_scored(tmp_path: Path) -> None:
    score, file = only(card(tmp_path, task(given(None, None, None, None))), Parrot())
    assert (math.isnan(score.value), score.stderr, score.n) == (True, None, 0)
    assert json.loads((tmp_path / file).read_text().splitlines()[0])["value"] is None


def test_without_a_reward_the_demonstration_is_the_measure(tmp_path: Path) -> None:
    score, _ = only(card(tmp_path, task(None)), Parrot(lambda word: word.upper() + ("\n" if word == "ab" else "")))
    assert score.value == 1
    score, _ = only(card(tmp_path, task(None)), Parrot(str.lower, weights="w1"))
    assert score.value == 0


@pytest.mark.parametrize("rewards", [(1, 2), (1, 2, "three", 4)])
def test_a_reward_that_fails_is_named(tmp_path: Path, rewards: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="the reward of task 'upper' failed on its held-out items: ValueError"):
        only(card(tmp_path, task(given(*rewards))), Parrot())
    assert not list(tmp_path.rglob("*.jsonl"))


def test_nothing_is_scored_twice(tmp_path: Path) -> None:
    policy = Parrot()
    first = only(card(tmp_path, task(exact)), policy)
    assert only(card(tmp_path, task(exact)), policy) == first
    assert policy.asked == 1
    # another row with the same weights has a file of its own, with the same bytes
    again = only(card(tmp_path, task(exact)), policy, "01-upper")
    assert (again[0], again[1], policy.asked) == (first[0], "scores/01-upper.upper.jsonl", 1)
    assert (tmp_path / again[1]).read_bytes() == (tmp_path / first[1]).read_bytes()
    other = Parrot(str.lower, weights="w1")
    assert only(card(tmp_path, task(exact)), other)[0].value == 0
    longer = Scorecard([task(exact)], BenchmarkSet(), Evaluation(batch_size=4, max_completion_length=9), tmp_path)
    assert only(longer, policy)[0].value == 1
    fewer = Task("upper", (), task(exact).heldout[:3], exact)
    assert only(card(tmp_path, fewer), policy)[0].n == 3
    assert (policy.asked, other.asked) == (3, 1)


def test_a_file_of_an_older_version_is_not_scored_again(tmp_path: Path) -> None:
    policy = Parrot()
    score, file = only(card(tmp_path, task(exact)), policy)
    key = key_of(tmp_path / file)
    (tmp_path / file).rename(tmp_path / "scores" / f"{key}.jsonl")  # as older versions named it
    assert only(card(tmp_path, task(exact)), policy) == (score, file)
    assert (policy.asked, len(list((tmp_path / "scores").iterdir()))) == (1, 2)


def test_names_are_readable_and_files_say_what_was_asked(tmp_path: Path) -> None:
    said = {"role": "user", "content": "say it"}
    prompts: list[Any] = ["say", [said], [{"role": "system", "content": "be brief"}, said], {"a": Path("x")}, Path("y")]
    items = tuple(Item(prompt, answer=f"{n}", answers=("0", "5") if n == 0 else ()) for n, prompt in enumerate(prompts))
    asked = Task("word", (), (*items, Item("z", demonstration="like this")), given(*[1] * 6))
    policy = Parrot(lambda prompt: "no")
    _, file = only(card(tmp_path, asked), policy, "02-german")
    assert file == "scores/02-german.word.jsonl"
    stored = read_scores(tmp_path / file)
    assert stored is not None
    assert [item.prompt for item in stored.items] == [
        *("say", "say it", "system: be brief\nuser: say it", '{"a": "x"}', "y", "z"),
    ]
    assert [item.expected for item in stored.items] == ["0 or 5", "1", "2", "3", "4", "like this"]
    assert {item.completion for item in stored.items} == {"no"}
    assert file_name("01-a", "b/../c") == "scores/01-a.b%2F..%2Fc.jsonl"
    # older versions wrote the answer of tasks and the target of lm-eval, and no prompt
    older = [ItemResult("0", 1.0, {"answer": "4"}), ItemResult("1", 1.0, {"target": 2, "expected": None})]
    assert [(item.prompt, item.expected, item.completion) for item in older] == [(None, "4", None), (None, "2", None)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[: data.rfind(b"\n", 0, -1) + 1],
        lambda data: data.replace(b'"score": 1.0', b'"score": 0.0', 1),
        lambda data: b"\xff" + data,
        lambda data: data.replace(b'"format": 1', b'"format": 0'),
        lambda data: b"[]\n" + data,
    ],
)
def test_a_damaged_file_is_scored_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    policy = Parrot()
    first = only(card(tmp_path, task(exact)), policy)
    file = tmp_path / first[1]
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert read_scores(file) is None
    assert only(card(tmp_path, task(exact)), policy) == first
    assert (policy.asked, file.read_bytes()) == (2, whole)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_one_after_another_tasks_then_benchmarks(tmp_path: Path) -> None:
    benchmarks = prepare_benchmarks(
        [Benchmark(tasks="animals", include_path=str(write_task(tmp_path / "t", "animals")))]
    )
    policy = Causal()
    whole = card(tmp_path, task(exact, "one"), task(exact, "two"), benchmarks=benchmarks)
    assert whole.names == ("one", "two", "animals")
    scores = whole.score(policy, "00-base")
    assert next(scores).score.name == "one"
    assert policy.asked == 1
    rest = [score for score, _ in scores]
    assert [(score.name, score.kind, score.n) for score in rest] == [("two", "task", 4), ("animals", "benchmark", 12)]
    again = [score for score, _ in card(tmp_path, task(exact, "two"), benchmarks=benchmarks).score(policy, "00-base")]
    assert again == rest


def test_benchmarks_need_a_language_model(tmp_path: Path) -> None:
    benchmarks = prepare_benchmarks(
        [Benchmark(tasks="animals", include_path=str(write_task(tmp_path / "t", "animals")))]
    )
    with pytest.raises(ModelError, match="'animals' needs a causal language model"):
        only(card(tmp_path, benchmarks=benchmarks), Parrot())


def test_leaves_no_trace(tmp_path: Path) -> None:
    policy = Causal()
    policy.model.train()

    def careless(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
        policy.model.eval()
        return [random.random() + np.random.random() + torch.rand(1).item() for _ in items]

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    only(card(tmp_path, task(careless)), policy)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected
    assert all(module.training for module in policy.model.modules())
