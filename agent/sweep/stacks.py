"""An executor that trains cells of the vision world together in stacks, several stacks at once in processes."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

from perdure.agent.sweep.contract import FailedCell, FinishedCell, ResultRow
from perdure.agent.sweep.pools import Pool
from perdure.agent.sweep.processes import Failure
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell

STACK_SIZE = 10
"""Cells of one stack on a CPU core: a larger stack loses more to a kill and shows less progress."""

GPU_STACK_SIZE = 60
"""Cells of one stack on a GPU, which ten small models leave idle."""

BASES_PER_TURN = 4
"""Bases whose stacks alternate: as many as a process of the vision world caches."""


@dataclass(frozen=True)
class Trainer:
    """Functions that train cells together; module-level, so that other processes can import them.

    Attributes:
        key: cells with equal keys can be trained together; `None`: the cell has to be a run of its own.
        base: the base that a process makes before it trains a cell, and caches. It affects only the order, so it may
            be a guess.
        train: the rows of each curriculum, given curricula and the number of checkpoints; independent of the rest of
            the stack. Where the sweep says so it is told `predictors="divergences"`.
        provenance: of all rows of a curriculum (see `FinishedCell`).
    """

    key: Callable[[Curriculum], Hashable | None]
    base: Callable[[Curriculum], Hashable]
    train: Callable[..., Sequence[Sequence[ResultRow]]]
    provenance: Callable[[Curriculum], Mapping[str, Any]]


@dataclass(frozen=True)
class StackExecutor:
    """Trains cells in stacks of at most `stack_size`. A stack that fails is tried again cell by cell."""

    trainer: Trainer
    checkpoints: int
    pool: Pool
    stack_size: int = STACK_SIZE

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """See `Executor.run`."""
        queue = deque(_Stack(self.trainer, self.checkpoints, stack) for stack in self._stacks(cells))
        for stack, outcome in self.pool.run(train_stack, queue):
            if not isinstance(outcome, Failure):
                yield from outcome
            elif len(stack.cells) == 1:
                yield FailedCell(stack.cells[0], outcome.reason, outcome.details)
            else:
                queue.extend(_Stack(self.trainer, self.checkpoints, (cell,)) for cell in stack.cells)

    def _stacks(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, ...]]:
        """Stacks of nearly equal size of cells with equal keys, in an order that is quick and predicts the time well.

        A process caches few bases (pretrained networks with their measurements). So the stacks of a few bases at a time
        follow each other, ordered by seed, and no process makes a base twice. Among these, cells of different keys
        alternate: they differ in cost, so that the first stacks are representative.
        """
        by_base = _grouped(cells, self.trainer.base)
        by_base.sort(key=lambda group: group[0].seed)
        for start in range(0, len(by_base), BASES_PER_TURN):
            bases = by_base[start : start + BASES_PER_TURN]
            kinds = [kind for group in bases for kind in _grouped(group, self.trainer.key)]
            for turn in zip_longest(*(_parts(kind, self.stack_size) for kind in kinds)):
                yield from (part for part in turn if part)


@dataclass(frozen=True)
class _Stack:
    trainer: Trainer
    checkpoints: int
    cells: tuple[Cell, ...]


def train_stack(stack: _Stack) -> list[FinishedCell]:
    """Train the cells of one stack together; each gets an equal share of the seconds."""
    curricula = [cell.curriculum for cell in stack.cells]
    begun = time.monotonic()
    rows = stack.trainer.train(curricula, stack.checkpoints)
    seconds = (time.monotonic() - begun) / len(curricula)
    return [
        FinishedCell(cell, tuple({"seconds": seconds, **row} for row in own), stack.trainer.provenance(cell.curriculum))
        for cell, own in zip(stack.cells, rows, strict=True)
    ]


def _grouped(cells: Sequence[Cell], by: Callable[[Curriculum], Hashable]) -> list[list[Cell]]:
    """Groups of cells with equal values of `by`, in order of first occurrence."""
    groups: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(by(cell.curriculum), []).append(cell)
    return list(groups.values())


def _parts(group: Sequence[Cell], most: int) -> list[tuple[Cell, ...]]:
    """The fewest parts of at most `most` cells; their sizes differ by at most one."""
    count = -(-len(group) // most)
    bounds = [len(group) * index // count for index in range(count + 1)]
    return [tuple(group[start:end]) for start, end in pairwise(bounds)]
