"""A sweep of the tiny language model, with cells that fail in every way. Importing it imports nothing heavy."""

import os
import signal
from pathlib import Path
from typing import Any

from perdure.curriculum.sweeps.reader import ReadSweep, read_sweep
from perdure.curriculum.task import Task

CURRICULUM = """\
model: {model_name_or_path: ./base, device: cpu}
budget: {kl: 1.0, every: 10, num_prompts: 4, max_completion_length: 6}
strategy: {type: fixed, method: sft}
train: {learning_rate: 1e-3, max_steps: 3, per_device_train_batch_size: 4, save_steps: 1000}
stages:
  - {name: first, task: {type: python, path: "tests.agent.sweep.language:deadly", args: {how: not}}}
benchmarks:
  - {tasks: perdure_largest, include_path: builtin, limit: 6}
evaluation: {max_completion_length: 6}
"""


def deadly(*, seed: int, train: int, heldout: int, how: str) -> Task:
    """The toy task, unless its process is to die, to fail, or to wait for ever."""
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        signal.pause()
    if how == "fail":
        raise RuntimeError("no such luck")
    from tests.agent.worlds.language.toy import toy_task

    return toy_task()


def read_language(folder: Path, sweep: str) -> ReadSweep:
    """The sweep in a folder with its curriculum and its base."""
    from tests.agent.killing import save_base

    if not (folder / "base").exists():
        save_base(folder / "base")
        (folder / "life.yaml").write_text(CURRICULUM)
    (folder / "grid.yaml").write_text(sweep)
    return read_sweep(folder / "grid.yaml")


def columns(table: Any, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of a table, row by row."""
    return [tuple(row[name] for name in names) for row in table.to_pylist()]
