"""Cells of the vision world, trained together in stacks: a few at a time, several stacks at once in processes."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from perdure.agent.sweep.contract import Failed, Finished, Row
from perdure.agent.sweep.processes import Lost, work
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell

CHUNK = 10
"""Cells of one stack on a CPU core: enough to pay, and so few that little is lost to a kill and progress is seen."""

GPU_CHUNK = 60
"""Cells of one stack on a GPU, which ten small models leave idle."""


BASES = 4
"""Bases whose stacks take turns: as many as a process of the vision world keeps."""


@dataclass(frozen=True)
class Trainer:
    """How cells are trained together; functions of a module, so that other processes find them.

    Attributes:
        key: cells with equal keys can be trained together; `None` for a cell that has to be a life of its own.
        base: what a process has to make before it can train a cell, and keeps for the next ones. It decides the order
            alone, so that it may be a guess.
        train: the rows of each curriculum, measured at so many checkpoints. A result does not depend on what it is
            stacked with.
        origin: what is true of all rows of a curriculum (see `Finished`).
    """

    key: Callable[[Curriculum], Hashable | None]
    base: Callable[[Curriculum], Hashable]
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
        """Parts of equal size of each kind of cell, in an order that is quick and tells the time left early and well.

        A process keeps few bases (each a pretrained network, with all that is measured on it), and one that it has not
        kept it makes again. So the stacks of a few bases at a time come after each other, those of one seed first, and
        no process makes a base twice. Among these few the kinds of cells take turns: they differ in what they cost, and
        the first stacks to be done then stand for the rest.
        """
        by_base = _grouped(cells, self.trainer.base)
        by_base.sort(key=lambda group: group[0].seed)
        for few in (by_base[start : start + BASES] for start in range(0, len(by_base), BASES)):
            kinds = [kind for group in few for kind in _grouped(group, self.trainer.key)]
            for turn in zip_longest(*(_parts(kind, self.chunk) for kind in kinds)):
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


def _grouped(cells: Sequence[Cell], by: Callable[[Curriculum], Hashable]) -> list[list[Cell]]:
    """Cells that are equal in something, in the order in which each kind comes up first."""
    groups: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(by(cell.curriculum), []).append(cell)
    return list(groups.values())


def _parts(group: Sequence[Cell], most: int) -> list[tuple[Cell, ...]]:
    """As few parts as possible, whose sizes differ by one at most."""
    count = -(-len(group) // most)
    bounds = [len(group) * index // count for index in range(count + 1)]
    return [tuple(group[start:end]) for start, end in pairwise(bounds)]
