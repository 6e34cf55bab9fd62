"""Differences between what a run began with and what it would go on with: those that forbid it, and those that do not.

Another CPU or GPU of the same kind rounds sums in another order; so do more threads. The run is the same run, but not
to the last bit. What else differs would make it another run.
"""

import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from perdure.budget import ranks
from perdure.budget.errors import RunError

LIBRARIES = (
    *("perdure", "torch", "transformers", "trl", "accelerate", "peft", "tokenizers", "numpy"),
    *("datasets", "lm_eval", "reasoning-gym", "math-verify"),
)
WOULD_CHANGE = {
    "curriculum": "it would be another experiment",
    "versions": "training, answers, scores and KL may come out otherwise",
    "resolved": "figures would no longer compare with those so far; most of it can be set in the curriculum's `model`",
    "base_sha256": "KL would be measured from another base",
    "data": "the hashes of items differ: their source has changed, or its cut into training and held-out ones",
    "probe": "the KL on the generic probe would be on other texts (`budget.generic`)",
    "law_sha256": "forgetting would be predicted by another law",
}
"""By the first word of a difference: the change that it would make."""


def versions() -> dict[str, str]:
    """The versions of Python and of every library that decides the weights."""
    return {"python": platform.python_version()} | _installed()


@cache
def _installed() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def differences(path: str, begun: Any, now: Any) -> list[str]:
    """The differences of two JSON values, one line each; where a run is sent (`tracking`) is none."""
    return [_line(*one) for one in _different(path, begun, now)]


def tolerated(begun: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """The differences that do not forbid a run to go on, one line each."""
    return tuple(_line(*one) for key in now for one in _different(key, begun.get(key), now[key]) if _harmless(*one))


def forbidding(path: str, begun: Any, now: Any) -> list[str]:
    """The other differences, one line each."""
    return [_line(*one) for one in _different(path, begun, now) if not _harmless(*one)]


def refuse_differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run where any difference forbids it.

    Raises:
        RunError: they are named, with what they would change.
    """
    found = [line for key in now for line in forbidding(key, begun.get(key), now[key])]
    if not found:
        return
    kinds = dict.fromkeys(line.partition(":")[0].partition(".")[0] for line in found)
    meaning = [f"\n`{kind}`: {WOULD_CHANGE[kind]}" for kind in kinds if kind in WOULD_CHANGE]
    listed = "\n  ".join(found)
    raise RunError(
        f"this run cannot go on as it began, since these differ:\n  {listed}{''.join(meaning)}\n"
        "Put them back as they were, or start a new run"
    )


def refuse_other_number(begun: Mapping[str, Any], run: Path) -> None:
    """Refuse to go on with a run by more or fewer processes than began it.

    Raises:
        RunError: says how to start it.
    """
    number = int(begun.get("resolved", {}).get("processes", 1))
    if number == ranks.count():
        return
    launcher = "" if number == 1 else f"torchrun --nproc_per_node {number} -m "
    raise RunError(
        f"{run} was begun by {number} {'process' if number == 1 else 'processes'} and cannot go on by {ranks.count()}, "
        f"whose batches and sampled answers would be others; go on with: {launcher}perdure resume {run}"
    )


def _different(path: str, begun: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Path and values of each difference."""
    if path.endswith("curriculum.tracking"):
        return
    if isinstance(begun, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*begun, *now)):
            yield from _different(f"{path}.{key}", begun.get(key), now.get(key))
    elif isinstance(begun, list) and isinstance(now, list) and len(begun) == len(now):
        for index, pair in enumerate(zip(begun, now, strict=True)):
            yield from _different(f"{path}[{index}]", *pair)
    elif begun != now:
        yield path, begun, now


def _harmless(path: str, begun: Any, now: Any) -> bool:
    """True for a patch release of Python, the number of CPU threads, and the index of a device."""
    if not (isinstance(begun, str) and isinstance(now, str)):
        return False
    match path:
        case "versions.python":
            return begun.split(".")[:2] == now.split(".")[:2]
        case "resolved.threads":
            return True
        case "resolved.device":
            return begun.partition(":")[0] == now.partition(":")[0]
    return False


def _line(path: str, begun: Any, now: Any) -> str:
    return f"{path}: was {begun!r}, is {now!r}"
