"""Other processes, timed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.figures import UnmeasuredError

ROOT = Path(__file__).parent.parent.parent
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(command: list[str | Path]) -> tuple[float, str]:
    """Wall time in seconds, and what was printed.

    Raises:
        UnmeasuredError: the command failed; with the end of what it said.
    """
    words = [str(word) for word in command]
    began = time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise UnmeasuredError(f"`{Path(words[0]).name} {' '.join(words[1:3])} …` failed: {' / '.join(said[-3:])}")
    return seconds, done.stdout


def run_json(command: list[str | Path], job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a script of ours prints for a job. Raises as `run`."""
    file = folder / "job.json"
    file.write_text(json.dumps(job))
    _, printed = run([sys.executable, *command, file])
    result: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return result


def perdure() -> Path:
    """The installed command.

    Raises:
        UnmeasuredError: it is not beside this Python.
    """
    command = Path(sys.executable).parent / "perdure"
    if not command.exists():
        raise UnmeasuredError("the command `perdure` is not installed beside this Python")
    return command
