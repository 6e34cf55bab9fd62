"""The toy task of the smallest language world. Imports nothing heavy: rewards are run in processes that import this."""

import math
from collections.abc import Sequence
from dataclasses import replace

from perdure.curriculum.task import Item, Task

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 .,?+-=:"


def share_of_vowels(
    items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
) -> list[float | None]:
    """How much of a completion is vowels: a graded reward that a random model sometimes gets."""
    return [sum(letter in "aeiou" for letter in text) / max(len(text), 1) for text in completions]


def toy_task(size: int = 24, *, chat: bool = True) -> Task:
    """`size` items to train on: say the letter after the one named. Prompts are messages, or text without `chat`."""

    def item(number: int) -> Item:
        letter, answer = (CHARACTERS[(number + shift) % 26] for shift in (0, 1))
        text = f"after {letter}?" + " please" * (number % 3)
        prompt = [{"role": "user", "content": text}] if chat else text
        return Item(prompt=prompt, answer=answer, demonstration=answer * (1 + number % 4))

    items = [item(number) for number in range(size + 8)]
    return Task(name="toy", train=tuple(items[:size]), heldout=tuple(items[size:]), reward=share_of_vowels)


def toy(*, seed: int, train: int, heldout: int, size: int = 24) -> Task:
    """The toy task as a curriculum names it: what is held out is the same for every size up to 28."""
    task = toy_task(28)
    return replace(task, train=task.train[:size])


def nan_reward(*, seed: int, train: int, heldout: int) -> Task:
    """A task whose reward is NaN for half of the training prompts."""
    task = toy_task()

    def reward(
        items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        return [math.nan if item in task.train[::2] else 1.0 for item in items]

    return replace(task, reward=reward)
