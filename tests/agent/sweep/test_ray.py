"""A Ray cluster of real processes, one of which is killed in the middle of its item."""

import os
import signal
from collections import deque
from pathlib import Path

import pytest

from perdure.agent.sweep.processes import Failure
from perdure.agent.sweep.ray_pool import RayPool
from perdure.budget.errors import DataError
from perdure.curriculum.sweeps.schema import RayWorkers

pytest.importorskip("ray", reason="the extra `ray` is not installed: pip install 'perdure[ray]'")


def count_to_four(path: str) -> int:
    """Counts in a file, as a run has checkpoints; its process is killed at two."""
    if path == "bad":
        raise DataError("there is no such data")
    if path == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    here, counted = int(Path(path).read_text()), 0
    while here < 4:
        here, counted = here + 1, counted + 1
        Path(path).write_text(str(here))
        if here == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    return counted


def test_a_killed_worker_is_replaced_and_its_item_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[3]}:{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "count").write_text("0")
    pool = RayPool(RayWorkers(type="ray", address="local"))
    found = dict(pool.run(count_to_four, deque([str(tmp_path / "count"), "bad", "deadly"])))
    assert found[str(tmp_path / "count")] == 2, "the second worker counted on from two"
    bad, deadly = found["bad"], found["deadly"]
    assert isinstance(bad, Failure) and bad.reason == "there is no such data"
    assert isinstance(deadly, Failure) and deadly.reason.startswith("its Ray worker failed: ")
