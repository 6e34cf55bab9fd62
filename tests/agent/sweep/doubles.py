"""A world of one number whose cells are trained together by pure arithmetic, and sweeps of it.

After step s the number is `learning_rate * s`; its KL is the square, its forgetting a tenth of that.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from perdure.agent.sweep.alone import find_cell, run_alone
from perdure.agent.sweep.contract import Executor, FailedCell, FinishedCell, ResultRow
from perdure.agent.sweep.folder import SweepFolder, lock_sweep
from perdure.agent.sweep.pools import LocalPool
from perdure.agent.sweep.stacks import StackExecutor, Trainer, _Stack, train_stack
from perdure.agent.sweep.sweep import SweepPlan, begin_sweep, join_sweep, read_plan, run_sweep
from perdure.budget.errors import DataError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import FixedStrategy
from perdure.curriculum.sweeps.reader import Cell, ReadSweep, read_sweep

CURRICULUM = """\
model: {model_name_or_path: builtin:tiny, device: cpu}
budget: {kl: 1.0, enforce: observe}
strategy: {type: fixed, method: rl}
train: {max_steps: 4}
stages:
  - {name: even, task: {type: reasoning_gym, dataset: chain_sum}}
"""
SWEEP = """\
curriculum: scalar.yaml
seeds: [0, 1]
axes:
  - name: arm
    cells: {plain: {}, tied: {train.rl.beta: 0.1}}
  - {path: train.learning_rate, values: [0.1, 0.2, 0.4]}
checkpoints: 2
workers: 2
"""
BROKEN, BAD, DEADLY, FULL = 6.0, 7.0, 8.0, 9.0
"""Learning rates at which the number is NaN, the data are bad, the process is killed, and the disk is full."""


def key(curriculum: Curriculum) -> Hashable | None:
    """Cells of one method go together."""
    return curriculum.strategy.method if isinstance(curriculum.strategy, FixedStrategy) else None


def base(curriculum: Curriculum) -> Hashable:
    """One for all cells."""
    return "zero"


def train(curricula: Sequence[Curriculum], checkpoints: int) -> list[list[ResultRow]]:
    """See the top of the file."""
    rates = [curriculum.train.learning_rate or 0.0 for curriculum in curricula]
    if BAD in rates:
        raise DataError("there is no such data")
    if DEADLY in rates:
        os.kill(os.getpid(), signal.SIGKILL)
    if FULL in rates:
        raise OSError(28, "no space left on device")
    return [_rows(curriculum, checkpoints) for curriculum in curricula]


def _rows(curriculum: Curriculum, checkpoints: int) -> list[ResultRow]:
    rate, steps = curriculum.train.learning_rate or 0.0, curriculum.train.max_steps or 0
    rows: list[ResultRow] = []
    for number in range(1, checkpoints + 1):
        step = steps * number // checkpoints
        kl = math.nan if rate == BROKEN else (rate * step) ** 2
        about: dict[str, Any] = {"stage": 1, "task": "even", "step": step, "steps": steps, "final": step == steps}
        figures = {"accuracy": rate * step / 2, "forgetting": kl / 10, "kl_base_to_policy": kl, "seconds": 1.0}
        rows.append(about | figures | {"score.old": 1 - kl / 10, "base_score.old": 1.0})
    return rows


def provenance(curriculum: Curriculum) -> Mapping[str, Any]:
    """One base for all."""
    return {"world": "scalar", "base_id": "zero", "unit": "token", "prompts": "task", "benchmarks": ["old"]}


TRAINER = Trainer(key, base, train, provenance)


@dataclass
class Here:
    """An executor without processes, which remembers what it was asked for and may stop after some cells."""

    stop_after: int | None = None
    asked: list[str] = field(default_factory=list)

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """One cell after another."""
        for cell in cells:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(cell.id)
            try:
                yield from train_stack(_Stack(TRAINER, 2, (cell,)))
            except DataError as error:
                yield FailedCell(cell, str(error))


def read(folder: Path, text: str = SWEEP) -> ReadSweep:
    """The sweep, written to a folder and read from there."""
    (folder / "scalar.yaml").write_text(CURRICULUM)
    (folder / "grid.yaml").write_text(text)
    return read_sweep(folder / "grid.yaml")


class Seen:
    """Remembers what it was shown."""

    def __init__(self) -> None:
        self.before = -1
        self.cells: list[str] = []

    def begin(self, plan: SweepPlan, done: int) -> None:
        """See `SweepObserver`."""
        self.before = done

    def cell(self, outcome: FinishedCell | FailedCell) -> None:
        """See `SweepObserver`."""
        self.cells.append(outcome.cell.id)


def stacked(
    folder: SweepFolder, plan: SweepPlan, cells: Sequence[Cell], trainer: Trainer = TRAINER
) -> list[tuple[Executor, Sequence[Cell]]]:
    """As the program does it, with two processes."""
    return [(StackExecutor(trainer, plan.checkpoints, LocalPool(2, folder.log), stack_size=2), cells)]


def train_slowly(curricula: Sequence[Curriculum], checkpoints: int) -> list[list[ResultRow]]:
    """The same, but it takes a while."""
    time.sleep(0.3)
    return train(curricula, checkpoints)


def carry_on(path: Path, slowly: bool = False) -> None:
    """Begin the sweep at `path`, or go on with it: what a process does that others kill."""
    folder = begin_sweep(read(path), path / "grid-1")
    trainer = Trainer(key, base, train_slowly if slowly else train, provenance)
    with lock_sweep(folder):
        run_sweep(folder, read_plan(folder), partial(stacked, trainer=trainer), Seen())


def carry_on_alone(path: Path, number: str, slowly: bool = False) -> None:
    """Run one cell of the sweep at `path/grid`, which many processes begin at once; `slowly` takes a minute."""
    folder = join_sweep(read_sweep(path / "grid.yaml"), path / "grid")
    plan = read_plan(folder)
    executor = Waiting() if slowly else Here()
    run_alone(folder, plan, find_cell(plan.cells, number), lambda folder, plan, cells: [(executor, cells)], Seen())


class Waiting:
    """An executor that takes a minute."""

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """Yields nothing."""
        time.sleep(60)
        return iter(())


def halve(number: int) -> int:
    """Half of an even number; what happens with others is in the tests below."""
    print(f"halving {number}")
    if number == 1:
        raise DataError("one is odd")
    if number == 3:
        raise ValueError("three")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 7:
        sys.exit(3)
    if number == 9:
        raise OSError(28, "no space left on device")
    if number == 11:
        os._exit(4)
    return number // 2


def sleep_and_tell(path: str) -> None:
    """Say who sleeps, and sleep for a minute."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


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
