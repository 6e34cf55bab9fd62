"""The environment in the language world: the same contract, slower."""

from pathlib import Path

import numpy as np
import pytest

from perdure.agent.environment.stream import Stream
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from tests.agent.killing import save_base, tiny_stream

pytestmark = pytest.mark.xdist_group("trl")


def test_a_run_of_a_language_model_is_an_episode(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    curriculum = tiny_stream(tmp_path / "base")
    env = Stream(curriculum, methods=["rl", "sft"], folder=tmp_path)
    ends = []
    for _ in range(2):
        seen, info = env.reset(seed=1)
        over = False
        while not over:
            assert env.observation_space.contains(seen)
            seen, reward, over, _, info = env.step(np.array([1, 2]))
            assert np.isfinite(reward)
        ends.append((seen.tolist(), info["scores"]))
    env.close()
    assert ends[0] == ends[1]
    assert info["method"] == "sft"


def test_a_fresh_adapter_is_that_of_the_run_and_not_of_the_one_before(tmp_path: Path) -> None:
    # An adapter is drawn from the run's seed, and the base without it is the same for all.
    save_base(tmp_path / "base")
    model = {"model_name_or_path": str(tmp_path / "base"), "device": "cpu", "lora": {"r": 2, "lora_alpha": 4}}
    curriculum = tiny_stream(tmp_path / "base", model=model, benchmarks=[])
    curriculum = curriculum.model_copy(update={"stages": curriculum.stages[:1]})

    def run_through(env: Stream, seed: int, name: str) -> list[str | None]:
        env.reset(seed=seed, options={"keep": tmp_path / name})
        env.step(np.array([0, 2]))
        return [row.weights_sha256 for row in read_state(read_journal(tmp_path / name / "journal.jsonl")).rows]

    env = Stream(curriculum, methods=["sft"], folder=tmp_path)
    one, two = run_through(env, 1, "one"), run_through(env, 2, "two")
    fresh = Stream(curriculum, methods=["sft"], folder=tmp_path)
    assert two == run_through(fresh, 2, "fresh")
    assert one[0] != two[0]
    assert run_through(env, 1, "again") == one
