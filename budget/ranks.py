"""The processes of one run, started by `torchrun` or `accelerate launch`; in a run of one process all of it is trivial.

Every process runs the same loop on the same events. One, the main process, chooses and makes the run's folder, writes
and prints. What one process alone knows (a signal, what is on the disk, its share of a measurement) is shared here
before it counts, so that all take the same turns.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

from perdure.budget.errors import ConfigError, RunError
from perdure.budget.launchers import STARTED_BY, refuse

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""The time for which a process waits for another. One that ends is noticed at once."""

SECONDS_TO_SPEAK = 3.0
"""The time in which the main process says why the run ended, before another one does."""

WORD, SPOKEN = "perdure/word", "perdure/spoken"


class LostError(RunError):
    """Another process of the run has ended."""


@dataclass
class _Here:
    """The processes' common store; `alone`, true while the main process does what the others wait for; and `apart`,
    true where they could not meet.
    """

    store: Any = None
    alone: bool = False
    apart: bool = False


_HERE = _Here()


def begin() -> None:
    """Meet the other processes, if there are any; before anything else is done.

    Raises:
        ConfigError: they were started in a way that perdure cannot train in.
    """
    refuse(os.environ)
    if os.environ.get("WORLD_SIZE", "1") == "1" or count() > 1:
        return
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local < gpus:
        torch.cuda.set_device(local)
    try:
        _HERE.store, rank, world = next(rendezvous("env://", timeout=timedelta(minutes=5)))
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        distributed.init_process_group(backend, store=_HERE.store, rank=rank, world_size=world, timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        _HERE.apart = True
        words = str(error).splitlines()[0]
        raise ConfigError(f"the processes of this run cannot meet: {words}; start them by {STARTED_BY}") from error


def _group() -> ModuleType | None:
    """torch.distributed, where there is a group of processes; without it nothing is imported."""
    found = sys.modules.get("torch.distributed")
    return found if found is not None and found.is_available() and found.is_initialized() else None


def count() -> int:
    """The number of processes."""
    group = _group()
    return 1 if group is None else int(group.get_world_size())


def rank() -> int:
    """The number of this process, from 0."""
    group = _group()
    return 0 if group is None else int(group.get_rank())


def is_main() -> bool:
    """True for the process that writes and prints; before `begin`, as the launcher says."""
    if _group() is not None:
        return rank() == 0
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def told(act: Callable[[], T]) -> T:
    """Let the main process alone do it; every process gets what came of it, or its error."""
    group = _group()
    if group is None or _HERE.alone or count() == 1:
        return act()
    said: list[Any] = [None]
    if is_main():
        _HERE.alone = True
        try:
            said = [(act(), None)]
        except Exception as error:
            said = [(None, error)]
            _send(group, [(None, _plain(error))])
            raise
        finally:
            _HERE.alone = False
    _send(group, said)
    result, fault = said[0]
    if fault is not None:
        fault.heard = True
        raise fault
    return result  # type: ignore[no-any-return]


def _send(group: ModuleType, said: list[Any]) -> None:
    group.broadcast_object_list(said, src=0)


def _plain(error: Exception) -> Exception:
    """The error as other processes can read it."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunError(str(error))
    return error


def gathered(mine: T) -> list[T]:
    """The values of all processes, in the order of their numbers."""
    group = _group()
    if group is None or count() == 1:
        return [mine]
    assert not _HERE.alone, "the others are waiting for what this process does alone"
    found: list[Any] = [None] * count()
    group.all_gather_object(found, mine)
    return found


def wait() -> None:
    """Wait until every process has come here."""
    gathered(None)


def any_of(flag: bool) -> bool:
    """True where it is true in any process."""
    return any(gathered(flag))


def means(figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """The mean of each figure over the processes that have it."""
    if count() == 1:
        return dict(figures)
    parts = gathered(dict(figures))
    known = {name: [part[name] for part in parts if part[name] is not None] for name in figures}
    return {name: sum(values) / len(values) if values else None for name, values in known.items()}  # type: ignore[arg-type]


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """The sum of each count over all processes."""
    parts = gathered(dict(counts))
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) for name in names}


def part_of(items: Sequence[T]) -> Sequence[T]:
    """This process's share of some items: every N-th, so that a sorted list is split evenly."""
    return items[rank() :: count()]


def whole(part: Sequence[T]) -> list[T]:
    """All items, in order, of which every process has the share that `part_of` gives."""
    parts = gathered(list(part))
    return [parts[index % len(parts)][index // len(parts)] for index in range(sum(map(len, parts)))]


def average(tensors: Iterable[Any]) -> None:
    """Replace each tensor, in place, by its mean over the processes: then all have the same to the bit."""
    group = _group()
    if group is None or count() == 1:
        return
    for tensor in tensors:
        group.all_reduce(tensor)
        tensor.div_(count())


def same(value: T, what: str) -> T:
    """The value, if every process has the same.

    Raises:
        RunError: `what` differs.
    """
    found = gathered(value)
    others = [number for number, one in enumerate(found) if one != found[0]]
    if others:
        raise RunError(
            f"{what} of process {others[0]} differs from that of process 0: {found[others[0]]} and {found[0]}. All "
            "processes must see the same files and run the same code on devices of the same kind"
        )
    return value


def lost(error: BaseException) -> bool:
    """True where a process of the run no longer answers."""
    if count() == 1 or not isinstance(error, RuntimeError) or isinstance(error, RunError):
        return False
    return "gloo" in str(error) or "NCCL" in str(error) or type(error).__module__.startswith("torch.distributed")


def last_word() -> str | None:
    """The reason that another process left for its end; `None` where it left none."""
    with suppress(Exception):
        if _HERE.store.check([WORD]):
            return str(_HERE.store.get(WORD).decode())
    return None


def speak(text: str, error: BaseException, write: Callable[[str], object]) -> None:
    """Tell the user once why the run ends: the main process does, or one of the others where it cannot.

    What another process says has its number in front.
    """
    if is_main() or _HERE.apart:
        write(text)
        with suppress(Exception):
            _HERE.store.add(SPOKEN, 1)
    elif _HERE.store is not None and not _heard(error):
        lost_one = isinstance(error, LostError)
        signed = text if lost_one else f"process {rank()} of {count()}: {text}"
        if not _spoken(None if lost_one else signed):
            write(signed)


def _heard(error: BaseException | None) -> bool:
    """True for an error of the main process, which tells it, and for one that was raised because of such an error."""
    while error is not None and not getattr(error, "heard", False):
        error = error.__cause__ or error.__context__
    return error is not None


def _spoken(word: str | None) -> bool:
    """Leave one's word for the main process, and wait until one has spoken; false: it falls to this process."""
    with suppress(Exception):
        if word is not None:
            _HERE.store.set(WORD, word)
        end = time.monotonic() + SECONDS_TO_SPEAK
        while time.monotonic() < end:
            if _HERE.store.add(SPOKEN, 0):
                return True
            time.sleep(0.1)
        if word is not None and not sys.modules["torch"].cuda.is_available():
            return True  # over gloo the main process notices at once that this one ends, and finds its word
        return int(_HERE.store.add(SPOKEN, 1)) > 1
    return False
