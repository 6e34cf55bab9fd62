"""The seam between a sweep and how its cells are carried out.

An executor gets cells and yields what became of each, in any order and as soon as it is known. It writes nothing of the
sweep's own: the rows come back, and whoever asked keeps them. That is all a distributed one has to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from perdure.curriculum.sweeps.reader import Cell

Row = Mapping[str, float | int | str | bool]


@dataclass(frozen=True)
class Finished:
    """The rows of one cell, a checkpoint each, the last one `final`; and what is true of all of them.

    `origin` holds `world`, `base_id`, `unit`, `prompts` and `benchmarks`, what must agree before rows are pooled; and,
    where they are known, `benchmark_fingerprints` by the benchmark's name.
    """

    cell: Cell
    rows: tuple[Row, ...]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A cell that could not be carried out: why, in one message, and a traceback where there is one."""

    cell: Cell
    reason: str
    details: str = ""


class Executor(Protocol):
    """Carries cells out."""

    def run(self, cells: Sequence[Cell]) -> Iterator[Finished | Failed]:
        """Every cell exactly once. Closing the iterator ends all work.

        Raises:
            OSError: the disk is full; cells that were not yielded are not done.
        """
        ...
