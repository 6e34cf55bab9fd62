"""Pools: the processes that an executor's items are computed in, on this machine or on a Ray cluster."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from perdure.agent.sweep.processes import Failure, run_in_processes

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pool(Protocol):
    """Computes items in other processes."""

    def run(
        self, function: Callable[[_Item], _Result], queue: deque[_Item]
    ) -> Iterator[tuple[_Item, _Result | Failure]]:
        """Yield each item with its result, in order of completion. Items may be added to `queue` between two results.

        Closing the iterator ends the processes, which first save their work.

        Raises:
            OSError: an item failed because the disk is full.
        """
        ...


@dataclass(frozen=True)
class LocalPool:
    """At most `processes` on this machine; worker k sees the GPU `gpus[k]` alone, or all of them if there are none."""

    processes: int
    log: Path
    gpus: tuple[str, ...] = ()

    def run(
        self, function: Callable[[_Item], _Result], queue: deque[_Item]
    ) -> Iterator[tuple[_Item, _Result | Failure]]:
        """See `Pool.run`."""
        return run_in_processes(function, queue, self.processes, self.log, self.gpus)
