"""From Enter to the first training step of a run on the built-in model, and to the first line that it prints."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.figures import Options, Report, Series, Target, UnmeasuredError, alone
from tests.bench.peers.race import stream
from tests.bench.processes import OFFLINE, ROOT

REPEATS = 3
MOST = Target("at most", 8.5, "s")
"""Half of what it took when the target was set, on another machine."""

NOTE = (
    "CPU seconds, user and system, until the first optimiser step is done: imports, tasks, the base's texts, and its "
    "scores on 300 held-out items and four benchmarks of 100 items. The first line by the clock."
)


def measure(_: Options) -> Report:
    """By `sft` and by `rl`; each run is killed at its first step."""
    starts = {method: [_start(method) for _ in range(REPEATS)] for method in ("sft", "rl")}
    figures = [
        alone(f"the first step of {method}", Series(tuple(cpu for cpu, _ in found), "s"), MOST)
        for method, found in starts.items()
    ]
    lines = Series(tuple(line for found in starts.values() for _, line in found), "s")
    return Report((*figures, alone("the first line", lines, Target("at most", 1.0, "s"))), (NOTE,))


def _start(method: str) -> tuple[float, float]:
    """CPU seconds to the first step, and seconds to the first line."""
    with TemporaryDirectory() as scratch:
        file, folder = Path(scratch) / "stream.yaml", Path(scratch) / "run"
        file.write_text(json.dumps(stream(method)))  # JSON is YAML
        words = [sys.executable, "-m", "perdure.cli.main", "run", str(file), "--output-dir", str(folder), "--plain"]
        began = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=ROOT, env=os.environ | OFFLINE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            assert process.stdout is not None, "it is a pipe"
            process.stdout.readline()
            line = time.perf_counter() - began
            while not _has_stepped(folder / "progress.json"):
                if process.poll() is not None:
                    raise UnmeasuredError(f"the run ended before its first step: {process.stdout.read()!r}")
                time.sleep(0.02)
            return _cpu_seconds(process.pid), line
        finally:
            process.kill()
            process.wait()


def _has_stepped(progress: Path) -> bool:
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        found = json.loads(progress.read_text())
    return found.get("phase") == "training" and (found.get("step") or 0) > 0


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process that runs, as Linux has it.

    Raises:
        UnmeasuredError: this is another system.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise UnmeasuredError("only Linux tells the CPU time of a process that runs") from error
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))
