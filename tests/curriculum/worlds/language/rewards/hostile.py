"""Rewards that do what an answer tells them to, for `test_guarded.py`; they run in the process of rewards."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.rewards.trl import from_trl


def obey(text: str) -> float:
    """Do as the text says, and give a score if that is still possible."""
    match text:
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(1000)
        case "fill":
            return float(len(bytearray(1 << 36)))
        case "recurse":
            return obey("recurse") + 1
        case "exit":
            sys.exit(3)
        case "leave":
            os._exit(3)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "raise":
            raise ValueError("no such answer")
        case "libraries":
            return float(len({"torch", "transformers"} & set(sys.modules)))
        case "number":
            import random

            return random.random()
    return 1.0


def obeying(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """Obeys each answer."""
    return [obey(text) for text in completions]


def verifier() -> Any:
    """A maker of a verifier."""
    return obeying


def graded(completions: Sequence[str], log_metric: Any, trainer_state: Any, **columns: Any) -> list[float]:
    """With TRL's signature; says what it does, and scores by the step where a column `by_step` says so."""
    print(f"grading {len(completions)}")
    log_metric("tried", len(completions))
    scores = [obey(text) for text in completions]
    return [float(trainer_state.global_step)] * len(scores) if "by_step" in columns else scores


def task(*, seed: int, train: int, heldout: int, worth: float) -> Task:
    """A task whose reward is found under no name."""
    items = tuple(Item(f"{number}?", answer=str(number)) for number in range(train + heldout))

    def mine(completions: Sequence[str], **_: Any) -> list[float]:
        return [worth * obey(text) for text in completions]

    return Task("any", items[:train], items[train:], from_trl(mine))
