"""Benchmarks of both kinds, told apart by `type`."""

from pathlib import Path

import pytest

from perdure.curriculum.evaluation import Benchmark
from perdure.curriculum.schema import TaskBenchmark
from tests.curriculum.file.two_worlds import LANGUAGE, VISION, faults, read


def test_benchmarks_of_both_kinds(tmp_path: Path) -> None:
    text = LANGUAGE + (
        "benchmarks:\n  - {tasks: x}\n  - {type: lm_eval, tasks: y}\n"
        "  - {type: task, name: z, task: {type: reasoning_gym, dataset: chain_sum}}\n"
    )
    x, y, z = read(tmp_path, text).benchmarks
    assert isinstance(x, Benchmark)
    assert isinstance(y, Benchmark)
    assert isinstance(z, TaskBenchmark)
    assert [one.title for one in (x, y, z)] == ["x", "y", "z"]
    twice = faults(tmp_path, text.replace("name: z", "name: a"))
    assert twice == ["10:24: benchmarks[2].name: two stages or benchmarks are called 'a'; every name must be unique"]


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (
            "{type: tsk, name: a}",
            "8:12: benchmarks[0].type: must be 'lm_eval' or 'task'; got 'tsk'; did you mean 'task'?",
        ),
        ("{type: task, name: z, limit: 3}", "8:5: benchmarks[0].task: required key is missing"),
        ("{type: task, task: {type: images}}", "8:5: benchmarks[0].name: required key is missing"),
        ("{name: z}", "8:5: benchmarks[0].tasks: required key is missing"),
        ("{task: x}", "8:5: benchmarks[0].tasks: required key is missing"),
        ("x", "8:5: benchmarks[0]: must be a map of keys; got 'x'"),
    ],
)
def test_benchmarks_that_are_wrong(tmp_path: Path, benchmark: str, message: str) -> None:
    assert faults(tmp_path, VISION + f"benchmarks:\n  - {benchmark}\n")[0] == message
