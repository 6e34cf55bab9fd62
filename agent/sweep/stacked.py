"""Cells of the vision world, trained together in stacks: a few at a time, several stacks at once in processes."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from perdure.agent.sweep.contract import Failed, Finished, Row
from perdure.agent.sweep.workers import Lost, work
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell

CHUNK = 10
"""Cells of one stack on a CPU core: enough to pay, and so few that little is lost to a kill and progress is seen."""

GPU_CHUNK = 60
"""Cells of one stack on a GPU, which ten small models leave idle."""


@dataclass(frozen=True)
class Trainer:
    """How cells are trained together; functions of a module, so that other processes find them.

    Attributes:
        key: cells with equal keys can be trained together; `None` for a cell that has to be a life of its own.
        train: the rows of each curriculum, measured at so many checkpoints. A result does not depend on what it is
            stacked with.
        origin: what is true of all rows of a curriculum (see `Finished`).
    """

    key: Callable[[Curriculum], Hashable | None]
    train: Callable[[Sequence[Curriculum], int], Sequence[Sequence[Row]]]
    origin: Callable[[Curriculum], Mapping[str, Any]]


@dataclass(frozen=True)
class Stacked:
    """Trains cells in stacks of at most `chunk`. A stack that fails is tried again cell by cell."""

    trainer: Trainer
    checkpoints: int
    workers: int
    log: Path
    chunk: int = CHUNK

    def run(self, cells: Sequence[Cell]) -> Iterator[Finished | Failed]:
        """See `Executor.run`."""
        waiting = deque(_Stack(self.trainer, self.checkpoints, stack) for stack in self._stacks(cells))
        for stack, outcome in work(train_stack, waiting, self.workers, self.log):
            if not isinstance(outcome, Lost):
                yield from outcome
            elif len(stack.cells) == 1:
                yield Failed(stack.cells[0], outcome.reason, outcome.details)
            else:
                waiting.extend(_Stack(self.trainer, self.checkpoints, (cell,)) for cell in stack.cells)

    def _stacks(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, ...]]:
        """Parts of equal size, of each kind of cell in turn, so that the time left is told early and well."""
        groups: dict[Hashable, list[Cell]] = {}
        for cell in cells:
            groups.setdefault(self.trainer.key(cell.curriculum), []).append(cell)
        for turn in zip_longest(*(_parts(group, self.chunk) for group in groups.values())):
            yield from (part for part in turn if part)


@dataclass(frozen=True)
class _Stack:
    trainer: Trainer
    checkpoints: int
    cells: tuple[Cell, ...]


def train_stack(stack: _Stack) -> list[Finished]:
    """Train the cells of one stack together; the seconds are shared out evenly."""
    curricula = [cell.curriculum for cell in stack.cells]
    begun = time.monotonic()
    rows = stack.trainer.train(curricula, stack.checkpoints)
    seconds = (time.monotonic() - begun) / len(curricula)
    return [
        Finished(cell, tuple({"seconds": seconds, **row} for row in mine), stack.trainer.origin(cell.curriculum))
        for cell, mine in zip(stack.cells, rows, strict=True)
    ]


def _parts(group: Sequence[Cell], most: int) -> list[tuple[Cell, ...]]:
    """As few parts as possible, whose sizes differ by one at most."""
    count = -(-len(group) // most)
    bounds = [len(group) * index // count for index in range(count + 1)]
    return [tuple(group[start:end]) for start, end in pairwise(bounds)]
