"""The benchmark of the environment: every stage is run by every method, and each second is counted once."""

import time
from importlib import import_module
from pathlib import Path

from perdure.agent.environment.stream import Stream
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from tests.agent.environment.toy import toy
from tests.bench.__main__ import NAMES
from tests.bench.environment import timed_run
from tests.bench.figures import Series, Target, alone


def test_every_stage_is_run_once_by_every_method(tmp_path: Path) -> None:
    env = Stream(toy(), methods=("sft", "rl", "tilt"), folder=tmp_path)
    chosen = []
    for index in range(3):
        began = time.perf_counter()
        times = timed_run(env, index)
        assert len(times.stages) == 3
        assert 0 < times.reset + sum(times.stages) < time.perf_counter() - began
        (journal,) = tmp_path.glob("*/run/journal.jsonl")
        chosen.append([row.method for row in read_state(read_journal(journal)).rows[1:]])
    # The third stage has no demonstrations: `sft`, which is first in turn there in the run 1, becomes `rl`.
    assert chosen == [["sft", "rl", "tilt"], ["rl", "tilt", "rl"], ["tilt", "sft", "rl"]]
    env.close()


def test_it_is_one_of_the_benchmarks() -> None:
    assert "environment" in NAMES
    assert callable(import_module("tests.bench.environment").measure)


def test_a_rate_is_judged_and_shown() -> None:
    figure = alone("stages", Series((6.0, 1.5, 4.0), "/s"), Target("at least", 2, "/s"))
    assert figure.cells[1:] == ("4 /s [1.5 … 6 /s]", "", "", "at least 2 /s", "met")
