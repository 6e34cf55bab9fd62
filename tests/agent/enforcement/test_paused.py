"""A candidate of a race that waits at a rung to be measured."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from perdure.agent.enforcement.paused import WEIGHTS, Paused, forget_paused, read_paused, write_paused
from perdure.agent.weights import read_tensors
from tests.agent.strategies.situations import trial

AT = Paused(rung=2, first=5, steps=8, seconds=6.0, kl_midway=None, ended=False, broken=False)


def test_it_is_there_until_the_rung_is_measured(tmp_path: Path) -> None:
    assert read_paused(tmp_path, 2) is None
    write_paused(tmp_path, AT, {"weight": torch.ones(2)})
    assert read_paused(tmp_path, 2) == AT and read_tensors(tmp_path / WEIGHTS)["weight"].tolist() == [1, 1]
    assert read_paused(tmp_path, 3) is None
    forget_paused(tmp_path)
    assert read_paused(tmp_path, 2) is None and not list(tmp_path.iterdir())


def test_seconds_of_steps_that_were_made_again_count_once() -> None:
    before = trial(steps=4, seconds_a_step=1.0)
    # 4 steps of 1 second, and 4 of 6 seconds together
    assert AT.seconds_a_step(before) == pytest.approx(10 / 8)
    # all 8 again; from step 3 on, so that two of the earlier ones count; and two of whose seconds nothing is known
    assert replace(AT, first=1).seconds_a_step(before) == pytest.approx(6 / 8)
    assert replace(AT, first=3).seconds_a_step(before) == pytest.approx(8 / 8)
    assert replace(AT, first=7).seconds_a_step(before) == pytest.approx(10 / 6)
    assert replace(AT, first=1).seconds_a_step(None) == pytest.approx(6 / 8)
    assert replace(AT, first=1, steps=0, seconds=0.0).seconds_a_step(None) == 0
