"""Shared by the sources: the cut into training and held-out items, demonstrations by a user's function, checks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.task import EXAMINED, REPEATED, Item, Task, prompt_key, question, questions


def distinct(items: Iterable[Item], seen: set[str], left_out: Counter[str]) -> Iterator[Item]:
    """The items whose prompt is not in `seen` yet; adds each to `seen`, and counts the others."""
    for item in items:
        key = prompt_key(item)
        if key not in seen:
            seen.add(key)
            yield item
        else:
            left_out[REPEATED] += 1


def trainable(
    items: Iterable[Item],
    count: int,
    heldout: Sequence[Item],
    examined: frozenset[str],
    left_out: Counter[str],
    where: str,
) -> tuple[Item, ...]:
    """The first `count` items on whose question nobody is examined, or all there are; counts those it leaves out.

    Raises:
        DataError: there would be enough of them, or one, if other tasks examined none.
    """
    own, others, taken = questions(heldout), 0, list[Item]()
    for item in items:
        key = question(item.prompt)
        if key in own:
            left_out[REPEATED] += 1
        elif key in examined:
            others += 1
        else:
            taken.append(item)
        if len(taken) == count:
            break
    if len(taken) < count and others and (not taken or len(taken) + others >= count):
        raise DataError(
            f"{where}: {count} items were asked for to train on and {len(taken)} remain, since another stage or a "
            f"benchmark examines {others} of them and no item is both trained on and examined; lower `train` "
            f"{f'to {len(taken)}' if taken else 'and `heldout`'}, hold out fewer there, or give other data"
        )
    left_out[EXAMINED] += others
    return tuple(taken)


def cut(
    items: Iterable[Item],
    *,
    train: int,
    heldout: int,
    where: str,
    left_out: Counter[str],
    examined: frozenset[str] = frozenset(),
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Training and held-out items from one stream of different prompts, disjoint by question; held-out come first.

    If there are too few, at most half (and at least two) are held out and the rest is trained on, save `examined`.

    Raises:
        DataError: fewer than three different prompts, or as `trainable`.
    """
    different = distinct(items, set(), left_out)
    found = list(islice(different, train + heldout))
    if len(found) < 3:
        raise DataError(
            f"{where} has {len(found)} different prompts; at least 3 are needed: 1 to train on and 2 held out"
        )
    if len(found) < train + heldout:
        heldout = min(heldout, max(2, len(found) // 2))
    held, rest = tuple(found[:heldout]), chain(found[heldout:], different)
    learned = trainable(rest, train, held, examined, left_out, where)
    if not learned:
        raise DataError(f"{where}: every question is also held out, in other whitespace or with another system turn")
    return learned, held


def with_demonstrations(task: Task, path: str) -> Task:
    """The task with every item's demonstration written by the user's `module:function(item) -> str`.

    Raises:
        ConfigError: the function is not there, fails, or returns something that is no text.
    """
    function = load_function(path, "`demonstrations`")

    def written(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(replace(item, demonstration=demonstrate(item)) for item in items)

    def demonstrate(item: Item) -> str:
        try:
            text = function(item)
        except Exception as error:
            raise ConfigError(f"`demonstrations` {path!r} failed: {show_error(error)}") from error
        if not isinstance(text, str):
            raise ConfigError(f"`demonstrations` {path!r} returned {type(text).__name__}; it must return text")
        return text

    return replace(task, train=written(task.train), heldout=written(task.heldout))


def check_answers(task: Task, reward_type: str | None, where: str) -> None:
    """Refuse answers that the reward cannot read: there must be one, and it must be right by its own measure.

    Raises:
        DataError: an item without an answer, or with one in which the reward finds no number or letter.
    """
    if task.reward is None or reward_type not in ("exact_match", "numeric", "multiple_choice", "math_verify"):
        return
    items = (*task.train, *task.heldout)
    missing = [item for item in items if item.answer is None]
    if missing:
        raise DataError(
            f"{where}: reward {reward_type!r} compares with the answer, and {len(missing)} of {len(items)} items have "
            "none; say where it is with `columns.answer`"
        )
    for item, score in zip(items, task.reward(items, [item.answer or "" for item in items]), strict=True):
        if score != 1.0:
            sought = {"numeric": "number", "multiple_choice": "option's letter or text"}.get(reward_type, "text")
            raise DataError(
                f"{where}: reward {reward_type!r} finds no {sought} in the answer {str(item.answer)[:80]!r}"
            )
