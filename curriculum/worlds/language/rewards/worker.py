"""The process that rewards run in (`process.py` starts it): it can be killed without loss, and dies with the run.

A request is a length and bytes, a reply one line of JSON; nothing is unpickled that a model had a part in. Verifiers
score one answer after the other, each for so many seconds of processor time (then the kernel ends the process) and with
2 GiB of memory beyond what the process began with. A user's function gets its answers together, as it expects.
"""

import ctypes
import io
import json
import marshal
import os
import pickle
import random
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from hashlib import sha256
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from perdure.budget.errors import PerdureError
from perdure.curriculum.import_path import show_error
from perdure.curriculum.limits import memory_limit
from perdure.curriculum.task import Item, Reward
from perdure.curriculum.worlds.language.rewards.trl import from_trl, reward_title

MEMORY = 2 * 1024**3
"""Bytes that a verifier may take in addition."""

FAILED = "failed"
"""The reply for an answer on which a verifier raised an error, out of memory included."""


def encode(value: Any) -> bytes:
    """Plain values as marshal has them, which holds no code to run; only what it lacks (dates, arrays) is pickled.

    What is encoded is the run's own, for its own child: prompts, columns, completions.
    """
    try:
        return b"m" + marshal.dumps(value)
    except ValueError:
        return b"p" + pickle.dumps(value)


def decode(data: bytes) -> Any:
    """The inverse of `encode`."""
    return marshal.loads(data[1:]) if data[:1] == b"m" else pickle.loads(data[1:])


def main(descriptor: int, parent: int) -> None:
    """Answers requests until the run's end of the socket is closed."""
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket.socket(fileno=descriptor)
    rewards: dict[str, Reward] = {}
    with suppress(ConnectionError), connection, connection.makefile("rb") as requests:  # a run that is killed resets it
        while head := requests.read(8):
            data = requests.read(int.from_bytes(head))
            for reply in _replies(rewards, *decode(data)):
                connection.sendall(json.dumps(reply).encode() + b"\n")


def _die_with(parent: int) -> None:
    """Lets Linux kill this process when the run ends, however it ends; elsewhere the closed socket ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def _seed(*asked: Any) -> None:
    """Seeds the generators from what is scored, so that a reward that draws is repeatable whatever ran before it."""
    seed = int.from_bytes(sha256(encode(asked)).digest()[:4])
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _replies(rewards: dict[str, Reward], verb: str, recipe: str, *rest: Any) -> Iterator[Any]:
    match verb:
        case "make":
            yield _made(rewards, recipe)
        case "each":
            yield from _scores(rewards[recipe], *rest)
        case "together":
            yield _called(rewards[recipe], *rest)


def find(path: str) -> Any:
    """The object that a `module:name` names, which the run found and checked before."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def from_path(path: str, name: str) -> Reward:
    """The maker of a reward with TRL's signature."""
    return from_trl(find(path), name)


def of_task(path: str, arguments: dict[str, Any]) -> Reward:
    """The maker of the reward of a task, which is made again."""
    reward: Reward = find(path)(**arguments).reward
    return reward


def path_of(found: Any) -> str | None:
    """The `module:name` under which a function or an object is found again; `None` if there is none."""
    module, name = str(getattr(found, "__module__", "")), str(getattr(found, "__qualname__", ""))
    same = getattr(sys.modules.get(module), name, None) is found and module != "__main__"
    return f"{module}:{name}" if same else None


def _made(rewards: dict[str, Reward], recipe: str) -> str | None:
    """Makes a reward by a recipe: `[maker, arguments]`, a dotted path and JSON. The reply is a message if it fails."""
    maker, arguments = json.loads(recipe)
    try:
        rewards[recipe] = find(maker)(**arguments)
    except PerdureError as error:
        return str(error)
    except (Exception, SystemExit) as error:
        return f"the reward cannot be made: {show_error(error)}"
    return None


def _scores(reward: Reward, limit: float, answers: Sequence[Any]) -> Iterator[float | str | None]:
    """Every answer's score as soon as it is known. One that takes too long ends the process: SIGPROF is not caught."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with memory_limit(MEMORY):
        for item, text in answers:
            _seed(item["prompt"], text)
            signal.setitimer(signal.ITIMER_PROF, limit)
            try:
                score = reward([Item(**item)], [text])[0]
                yield None if score is None else float(score)
            except (Exception, SystemExit):
                yield FAILED
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)


def _called(reward: Any, items: Sequence[Any], texts: Sequence[str], ids: Any, state: Any) -> dict[str, Any]:
    """A user's function, called once: its scores or a message, what it printed, and what it gave to TRL's loggers."""
    logged: list[Any] = []
    given: list[Any] = [[Item(**item) for item in items], texts, ids]
    loggers = {name: _recorder(name, logged) for name in ("log_extra", "log_metric")}
    reply: dict[str, Any] = {}
    _seed([item.prompt for item in given[0]], texts)
    try:
        with redirect_stdout(io.StringIO()) as printed:
            if state is None or not hasattr(reward, "during_training"):
                scores = reward(*given)
            else:
                scores = reward.during_training(*given, loggers | {"trainer_state": SimpleNamespace(**state)})
        reply["scores"] = [None if score is None else float(score) for score in scores]
    except PerdureError as error:
        reply["error"] = str(error)
    except (Exception, SystemExit) as error:
        reply["error"] = f"the reward {reward_title(reward)!r} failed: {show_error(error)}"
    return reply | {"printed": printed.getvalue(), "logged": logged}


def _recorder(logger: str, logged: list[Any]) -> Any:
    def record(name: str, value: Any) -> None:
        json.dumps([name, value], default=float)
        logged.append([logger, name, value if isinstance(value, list | str) else float(value)])

    return record
