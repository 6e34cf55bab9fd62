"""The contract between a sweep and an executor, which runs its cells.

An executor gets cells and yields the outcome of each once it is known, in any order. It writes none of the sweep's
files. A distributed executor has to do no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from perdure.curriculum.sweeps.reader import Cell

ResultRow = Mapping[str, float | int | str | bool]


@dataclass(frozen=True)
class FinishedCell:
    """The rows of one cell, one per checkpoint, the last one `final`, and their provenance.

    `provenance` holds `world`, `base_id`, `unit`, `prompts` and `benchmarks`, which must agree before rows are pooled,
    the known `benchmark_fingerprints` by name, and the name of the `model`.
    """

    cell: Cell
    rows: tuple[ResultRow, ...]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class FailedCell:
    """A cell that failed: the reason in one message, and a traceback if there is one."""

    cell: Cell
    reason: str
    details: str = ""


class Executor(Protocol):
    """Runs cells."""

    def run(self, cells: Sequence[Cell]) -> Iterator[FinishedCell | FailedCell]:
        """Yield the outcome of every cell exactly once. Closing the iterator ends all work.

        Raises:
            OSError: the disk is full; cells that were not yielded are not finished.
        """
        ...
