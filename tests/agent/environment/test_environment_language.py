"""The environment in the language world: the same contract, slower."""

from pathlib import Path

import numpy as np
import pytest

from perdure.agent.environment.stream import Stream
from tests.agent.killing import life, save_base

pytestmark = pytest.mark.xdist_group("trl")


def test_a_life_of_a_language_model_is_an_episode(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    curriculum = life(tmp_path / "base")
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
