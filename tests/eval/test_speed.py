"""How long a scorecard takes is told from one batch of each column, or from a quarter where that is slow."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.benchmarks import BenchmarkSet, HeldoutItems
from perdure.eval.speed import SLOW, Speed, scoring_speed


@pytest.mark.parametrize(
    # Whole batches: 100 items of which 64 were asked are two of them.
    ("items", "asked", "whole"),
    [(64, 64, 2.0), (100, 64, 4.0), (10, 10, 2.0), (10_042, 64, 314.0)],
)
def test_a_column_takes_as_many_batches_as_it_has(items: int, asked: int, whole: float) -> None:
    assert Speed("a", items, asked, 2.0).total_seconds == whole


class Counting:
    """Answers nothing, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def respond(self, prompts: Sequence[Any], **_: Any) -> list[list[str]]:
        self.asked.append(len(prompts))
        return [[""] for _ in prompts]


def task(name: str, heldout: int) -> Task:
    return Task(name, (), tuple(Item(str(number), demonstration="x") for number in range(heldout)))


class Slow(Counting):
    """Takes too long for a whole batch."""

    def respond(self, prompts: Sequence[Any], **how: Any) -> list[list[str]]:
        time.sleep(SLOW)
        return super().respond(prompts, **how)


def test_a_quarter_stands_for_a_batch_that_is_slow() -> None:
    policy = Slow()
    (speed,) = scoring_speed([task("a", 20)], BenchmarkSet(), policy, Evaluation(batch_size=8))  # type: ignore[arg-type]
    assert policy.asked == [2]
    assert (speed.scored, speed.total_seconds) == (2, 10 * speed.seconds)


def test_one_batch_of_every_column_is_asked() -> None:
    policy = Counting()
    benchmarks = BenchmarkSet((HeldoutItems(task("b", 9)),))
    speeds = list(scoring_speed([task("a", 3)], benchmarks, policy, Evaluation(batch_size=4)))  # type: ignore[arg-type]
    assert policy.asked == [1, 3, 1, 4]
    assert [(one.name, one.items, one.scored) for one in speeds] == [("a", 3, 3), ("b", 9, 4)]
    assert all(one.seconds >= 0 for one in speeds)
