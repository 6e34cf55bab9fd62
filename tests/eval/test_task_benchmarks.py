"""Benchmarks made of a task's held-out items: scored as tasks are, and never trained on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.schema import BenchmarkConfig, TaskBenchmark
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.eval.benchmarks import BenchmarkSet, HeldoutItems, prepare_benchmarks
from perdure.eval.scorecard import Scorecard

EVALUATION = Evaluation(batch_size=4, max_completion_length=8)
MLP = MlpModel(type="mlp")
LANGUAGE = CausalModel(model_name_or_path="x")
SUMS = {"type": "reasoning_gym", "dataset": "chain_sum", "train": 5, "heldout": 6}
CLOTHES = {"type": "images", "images": "clothes", "rule": "label", "heldout": 30}


class Knowing:
    """Answers from a list of what it knows; everything else is "?"."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def respond(self, prompts: Sequence[Any], **_: Any) -> list[list[str]]:
        return [[self.known.get(str(prompt), "?")] for prompt in prompts]

    def fingerprint(self) -> str:
        return f"w{len(self.known)}"


def config(task: dict[str, Any], name: str = "b") -> BenchmarkConfig:
    return TaskBenchmark.model_validate({"type": "task", "name": name, "task": task})


def prepared(task: dict[str, Any], model: Any, seed: int = 0, name: str = "b") -> HeldoutItems:
    (found,) = prepare_benchmarks([config(task, name)], seed=seed, model=model).benchmarks
    assert isinstance(found, HeldoutItems)
    return found


def knowing(items: Sequence[Item]) -> Any:
    return Knowing({str(item.prompt): str(item.answer) for item in items})


@pytest.mark.parametrize(("task", "model", "n"), [(SUMS, LANGUAGE, 6), (CLOTHES, MLP, 30)])
def test_held_out_items_are_scored_as_tasks_are(tmp_path: Path, task: dict[str, Any], model: Any, n: int) -> None:
    benchmark = prepared(task, model)
    assert benchmark.task.train == ()
    policy = knowing(benchmark.task.heldout[: n // 2])
    score, items = benchmark.score(policy, EVALUATION)
    assert (score.name, score.kind, score.value, score.n) == ("b", "benchmark", 0.5, n)
    # the same items as a stage's, through the scorecard
    stage = replace(benchmark.task, name="a")
    card = Scorecard([stage], BenchmarkSet((benchmark,)), EVALUATION, tmp_path)
    assert card.names == ("a", "b")
    of_stage, of_benchmark = (one.score for one in card.score(policy, "00-base"))
    assert of_stage.item_values == of_benchmark.item_values == score.item_values
    assert (of_stage.kind, of_benchmark.kind) == ("task", "benchmark")
    assert [item.id for item in items] == list(of_benchmark.item_ids)


def test_the_fingerprint_follows_the_items_and_the_reward() -> None:
    first = prepared(SUMS, LANGUAGE)
    assert prepared(SUMS, LANGUAGE).fingerprint == first.fingerprint
    assert prepared(SUMS | {"train": 9}, LANGUAGE).fingerprint == first.fingerprint
    others = {
        prepared(SUMS | {"heldout": 5}, LANGUAGE).fingerprint,
        prepared(SUMS | {"reward": {"type": "exact_match"}}, LANGUAGE).fingerprint,
        prepared(SUMS, LANGUAGE, seed=1).fingerprint,
        prepared(SUMS, LANGUAGE, name="c").fingerprint,
        prepared(CLOTHES, MLP).fingerprint,
        prepared(CLOTHES | {"variant": "shifted"}, MLP).fingerprint,
    }
    assert len(others | {first.fingerprint}) == 7
    assert prepared(CLOTHES, MLP, seed=5, name="c").fingerprint == prepared(CLOTHES, MLP).fingerprint


def test_images_need_none_left_to_train_on() -> None:
    everything = MlpModel.model_validate({"type": "mlp", "pretrain": {"images": 1000}})
    assert len(prepared(CLOTHES, everything).task.heldout) == 30


def test_both_kinds_keep_their_order(tmp_path: Path) -> None:
    from perdure.curriculum.evaluation import Benchmark
    from tests.eval.lm_task_files import write_task

    folder = write_task(tmp_path, "animals")
    lm = Benchmark(tasks="animals", include_path=str(folder))
    found = prepare_benchmarks([config(SUMS, "one"), lm, config(SUMS, "two")], model=LANGUAGE)
    assert [one.name for one in found.benchmarks] == list(found.fingerprints) == ["one", "animals", "two"]
