"""A scorecard that asks a part of the items: which rows, which items, what is stored, and how it goes on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.folder import row_name
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.adaptive import score_of_part
from perdure.eval.benchmarks import BenchmarkSet, HeldoutItems, prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from perdure.eval.scorefile import BASE_ROW, Asked, ItemResult, Score, make_score, place_of, read_scores
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.eval.lm_task_files import choice_rows, write_task

ITEMS = 200


class Knower:
    """Answers rightly what it knows; `prompts` are those it was asked."""

    def __init__(self, weights: str, unknown: frozenset[int] = frozenset()) -> None:
        self.weights, self.unknown = weights, unknown
        self.prompts: list[str] = []

    def respond(self, prompts: Sequence[Any], **_: Any) -> list[list[str]]:
        self.prompts += prompts
        return [["no" if int(prompt.split()[1]) in self.unknown else "yes"] for prompt in prompts]

    def fingerprint(self) -> str:
        return self.weights


def right(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    return [float(item.answer == text) for item, text in zip(items, completions, strict=True)]


def doubled(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    return [2.0 * (item.answer == text) for item, text in zip(items, completions, strict=True)]


def task(name: str, reward: Any = right, items: int = ITEMS) -> Task:
    return Task(name, (), tuple(Item(f"{name} {number}", answer="yes") for number in range(items)), reward=reward)


TASKS = tuple(task(f"t{number}") for number in range(1, 5))


def card(folder: Path, tasks: Sequence[Task] = TASKS, seed: int = 7, **settings: Any) -> Scorecard:
    known = BenchmarkSet((HeldoutItems(task("bench")),))
    return Scorecard(tasks, known, Evaluation.model_validate(settings), folder, seed=seed)


def rows(card: Scorecard, *policies: Knower) -> Iterator[dict[str, Score]]:
    for number, policy in enumerate(policies):
        name = row_name(number, f"t{number}" if number else "base")
        yield {one.score.name: one.score for one in card.score(policy, name, stage=number)}


def test_the_base_the_last_row_and_the_rows_around_a_stage_are_asked_in_full(tmp_path: Path) -> None:
    assert row_name(0, "base") == BASE_ROW
    table = list(rows(card(tmp_path), *(Knower(f"w{number}") for number in range(5))))
    in_part = [[score.asked is not None for score in row.values()] for row in table]
    assert in_part == [
        [False, False, False, False, False],
        [False, False, True, True, True],  # t1 its own stage, t2 the row before its own
        [True, False, False, True, True],
        [True, True, False, False, True],
        [False, False, False, False, False],
    ]
    found = table[1]["t3"]
    assert (found.n, found.value, found.asked and (found.asked.n, found.asked.of)) == (64, 1.0, (64, 200))


def test_a_score_of_a_part_is_the_bases_and_the_mean_change(tmp_path: Path) -> None:
    # the base lacks the items from 100 on; then half of those it had are lost, which takes more than the first look
    base, after = Knower("w0", frozenset(range(100, 200))), Knower("w1", frozenset(range(50, 200)))
    policies = list(rows(card(tmp_path, precision=12), base, after))
    found, file = policies[1]["t3"], read_scores(tmp_path / "scores/01-t1.t3.jsonl")
    assert found.asked is not None and file is not None and file.score == found
    known = {item.id: item.score for item in file.items}
    assert len(known) == 200 and sum(item.asked for item in file.items) == found.asked.n == found.n < 200
    lost = sum(50 <= place_of(item) < 100 for item in file.items if item.asked)
    assert found.value == pytest.approx(0.5 - lost / found.n)
    assert found.asked.low <= -0.25 <= found.asked.high
    assert {prompt for prompt in after.prompts if prompt.startswith("t3")} == {
        f"t3 {place_of(item)}" for item in file.items if item.asked
    }


def test_the_value_and_its_error_by_hand() -> None:
    # the base has 3 of 4; of two items asked one is lost, the other was wrong and stays so: 0.75 - 0.5,
    # variance of the scores 0, of the changes 0.5: sqrt(0 / 4 + (1 - 2/4) 0.5 / 2)
    base = make_score("a", "task", [ItemResult(str(i), value) for i, value in enumerate((1.0, 0.0, 1.0, 1.0))])
    part = make_score("a", "task", [ItemResult("0", 0.0), ItemResult("1", 0.0), ItemResult("2", None)])
    found = score_of_part(base, part, Asked(2, 4, -1, 0.5))
    assert (found.value, found.stderr, found.n) == (0.25, pytest.approx(0.125**0.5), 2)


def test_a_scorecard_that_was_killed_is_the_same(tmp_path: Path) -> None:
    unknown = frozenset(range(90, 100))
    policies = [Knower("w0"), Knower("w1", unknown)]
    list(rows(card(tmp_path / "whole"), *policies))
    killed = card(tmp_path / "killed")
    list(rows(killed, Knower("w0")))
    scores = killed.score(Knower("w1", unknown), "01-t1", stage=1)
    for _ in range(3):
        next(scores)
    list(card(tmp_path / "killed").score(Knower("w1", unknown), "01-t1", stage=1))
    whole, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "scores").iterdir()}
        for name in ("whole", "killed")
    )
    assert whole == again


def test_every_row_asks_in_the_same_order_and_another_seed_in_another(tmp_path: Path) -> None:
    first, second, other = Knower("w1"), Knower("w2", frozenset({3})), Knower("w1")
    list(rows(card(tmp_path / "a"), Knower("w0"), first, second))
    list(rows(card(tmp_path / "b", seed=8), Knower("w0"), other))
    of_bench = [[prompt for prompt in one.prompts if prompt.startswith("bench")][:64] for one in (first, second, other)]
    assert of_bench[0] == of_bench[1]
    assert sorted(of_bench[0]) != sorted(of_bench[2])


@pytest.mark.parametrize(
    ("settings", "reward", "items"),
    [
        ({"items": "all"}, right, ITEMS),
        ({"items": "auto"}, right, ITEMS - 1),
        ({"items": "adaptive", "temperature": 1}, right, ITEMS),
        ({"items": "adaptive"}, right, 67),
        ({"items": "adaptive"}, doubled, ITEMS),  # scores that are not from 0 to 1
    ],
)
def test_what_is_asked_in_full(tmp_path: Path, settings: dict[str, Any], reward: Any, items: int) -> None:
    tasks = [task(one.name, reward, items) for one in TASKS]
    _, row = rows(card(tmp_path, tasks, **settings), Knower("w0"), Knower("w1"))
    assert [row[one.name].asked for one in tasks] == [None] * 4
    assert {row[one.name].n for one in tasks} == {items}


def test_weights_that_are_known_in_full_are_not_asked_again(tmp_path: Path) -> None:
    base, same = Knower("w0"), Knower("w0")
    _, row = rows(card(tmp_path), base, same)
    assert same.prompts == [] and row["bench"].asked is None


class Causal(Knower):
    """A model for benchmarks of lm-eval."""

    def __init__(self) -> None:
        super().__init__("w0")
        self.model, self.tokenizer = tiny_policy_parts()


def test_an_item_of_lm_eval_asked_alone_is_that_of_the_whole(tmp_path: Path) -> None:
    """With the examples before it that it has among all, which lm-eval's own option `samples` would draw anew."""
    write_task(tmp_path, "choice", fewshot_split="test")
    settings = Benchmark(tasks="choice", num_fewshot=2, include_path=".")
    (found,) = prepare_benchmarks([settings], tmp_path).benchmarks
    policy, evaluation = Causal(), Evaluation(batch_size=4)
    _, whole = found.score(policy, evaluation)
    part = found.ask(policy, evaluation, [5, 2, 9])
    by_id = {item.id: item for item in whole}
    assert [place_of(item) for item in part] == [5, 2, 9]
    for item in part:
        assert item.details["prompt_sha256"] == by_id[item.id].details["prompt_sha256"]
        assert item.details["loglikelihoods"] == pytest.approx(by_id[item.id].details["loglikelihoods"], abs=1e-5)
    assert found.score(policy, evaluation)[1] == whole
    assert len(choice_rows()) > 9 and found.one_by_one
