"""A sample of what `python -m tests.faults` tries; nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

NAMES = {"disk": 12, "power": 8, "streams": 10, "folders": 10}


@pytest.mark.xdist_group("faults")
def test_nothing_is_lost() -> None:
    for name, limit in NAMES.items():
        command = [sys.executable, "-m", "tests.faults", name, "--limit", str(limit)]
        ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
        assert str(limit) in ended.stdout
