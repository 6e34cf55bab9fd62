"""A Ray cluster of real processes, one of which is killed in the middle of its item."""

import os
from collections import deque
from pathlib import Path

import pytest

from perdure.agent.sweep.processes import Failure
from perdure.agent.sweep.ray_pool import RayPool
from perdure.curriculum.sweeps.schema import RayWorkers
from tests.agent.sweep.doubles import count_to_four

pytest.importorskip("ray", reason="the extra `ray` is not installed: pip install 'perdure[ray]'")


def test_a_killed_worker_is_replaced_and_its_item_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[3]}:{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "count").write_text("0")
    pool = RayPool(RayWorkers(type="ray", address="local"))
    found = dict(pool.run(count_to_four, deque([str(tmp_path / "count"), "bad", "deadly"])))
    assert found[str(tmp_path / "count")] == 2, "the second worker counted on from two"
    bad, deadly = found["bad"], found["deadly"]
    assert isinstance(bad, Failure) and bad.reason == "there is no such data"
    assert isinstance(deadly, Failure) and deadly.reason.startswith("its Ray worker failed: ")
