"""A sample of what `python -m tests.faults` tries; nothing is lost."""

import subprocess
import sys
from pathlib import Path

NAMES = ("disk", "power", "streams", "folders")


def test_nothing_is_lost() -> None:
    command = [sys.executable, "-m", "tests.faults", *NAMES, "--limit", "4"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    assert [line.split("│")[2:5] for line in ended.stdout.splitlines() if line.startswith("│")] == [
        [" 4     ", " 4    ", " 0    "] for _ in NAMES
    ]
