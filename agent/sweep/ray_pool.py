"""A pool on a Ray cluster (extra `ray`). Ray replaces a worker that dies, and its run goes on from its checkpoint."""

import errno
import re
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from perdure.agent.sweep.processes import GRACE_PERIOD, Failure, attempt
from perdure.budget.errors import ConfigError
from perdure.curriculum.sweeps.schema import RayWorkers

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

MAX_RETRIES = 3
"""Deaths of its worker after which an item has failed."""

CONNECT_SECONDS = 10.0


def refuse_missing_ray() -> None:
    """Refuse `workers: {type: ray}` without its package.

    Raises:
        ConfigError: names the extra.
    """
    if find_spec("ray") is None:
        raise ConfigError("workers: the package of 'ray' is not installed: pip install 'perdure[ray]'")


@dataclass(frozen=True)
class RayPool:
    """As many workers as the cluster has room for; Ray sets `CUDA_VISIBLE_DEVICES` of each.

    What workers print is in Ray's own logs.
    """

    workers: RayWorkers

    def run(
        self, function: Callable[[_Item], _Result], queue: deque[_Item]
    ) -> Iterator[tuple[_Item, _Result | Failure]]:
        """See `Pool.run`.

        Raises:
            ConfigError: there is no cluster, or no room in it for one worker.
        """
        refuse_missing_ray()
        import ray

        with _connected(self.workers):
            refuse_no_room(self.workers, ray.cluster_resources())
            asked = {"num_cpus": self.workers.num_cpus, "num_gpus": self.workers.num_gpus}
            remote = ray.remote(**asked, max_retries=MAX_RETRIES)(attempt)
            pending: dict[Any, _Item] = {}
            try:
                while queue or pending:
                    pending |= {remote.remote(function, item): item for item in _taken(queue)}
                    (ready,), _ = ray.wait(list(pending))
                    item, outcome = pending.pop(ready), _outcome(ready)
                    if isinstance(outcome, Failure) and outcome.full_disk:
                        raise OSError(errno.ENOSPC, outcome.reason)
                    yield item, outcome
            finally:
                _stop(list(pending))


def refuse_no_room(workers: RayWorkers, resources: Mapping[str, float]) -> None:
    """Refuse workers that a cluster of these `resources` never has room for.

    Raises:
        ConfigError: names what is asked for and what there is.
    """
    for name, kind, asked in (("num_cpus", "CPU", workers.num_cpus), ("num_gpus", "GPU", workers.num_gpus)):
        there = resources.get(kind, 0)
        if asked > there:
            raise ConfigError(
                f"workers.{name}: a worker asks for {asked:g}, and the Ray cluster at {workers.address!r} has "
                f"{there:g} {kind}s: ask for less, or add machines"
            )


@contextmanager
def _connected(workers: RayWorkers) -> Iterator[None]:
    import ray

    refuse_silence(workers.address)
    own = {"include_dashboard": False} if workers.address == "local" else {}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(address=workers.address, log_to_driver=False, logging_level="ERROR", **own)
        for number, handler in handlers.items():  # Ray puts its own in their place, which abort
            signal.signal(number, handler)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"workers.address: no Ray cluster at {workers.address!r}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def refuse_silence(address: str) -> None:
    """Refuse an address at which nothing answers; Ray itself waits for minutes.

    Raises:
        ConfigError: of HOST:PORT; `auto` and `local` are Ray's own.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"workers.address: nothing answers at {address!r} ({error}); begin one: ray start") from error


def _taken(queue: deque[_Item]) -> Iterator[_Item]:
    while queue:
        yield queue.popleft()


def _outcome(ready: Any) -> Any:
    import ray

    try:
        return ray.get(ready)
    except ray.exceptions.RayError as error:
        details = _COLOUR.sub("", str(error))
        return Failure(f"its Ray worker failed: {details.splitlines()[-1]}", details)


def _stop(pending: list[Any]) -> None:
    """Interrupt what runs, as Ctrl-C does, and let it save its work."""
    import ray

    for one in pending:
        ray.cancel(one)
    if pending:
        ray.wait(pending, num_returns=len(pending), timeout=GRACE_PERIOD)
