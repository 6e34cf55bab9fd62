"""Shared by the sources: the cut into training and held-out items, demonstrations by a user's function, checks."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.own_code import DEMONSTRATIONS
from perdure.curriculum.task import (
    EXAMINED,
    READ,
    REPEATED,
    UNUSABLE,
    Item,
    Task,
    is_among,
    prompt_key,
    questions,
    take_unscored,
)
from perdure.curriculum.worlds.language.rewards.answers import has_mathematics, last_number
from perdure.curriculum.worlds.language.rewards.code import CodeTests, item_tests
from perdure.curriculum.worlds.language.rewards.named import right_letters
from perdure.curriculum.worlds.language.rewards.tool_calls import expected_calls


def distinct(items: Iterable[Item], seen: set[str], left_out: Counter[str]) -> Iterator[Item]:
    """The items whose prompt is not in `seen` yet; adds each to `seen`; counts the others, and all read."""
    for item in items:
        left_out[READ] += 1
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
        if is_among(item, own):
            left_out[REPEATED] += 1
        elif is_among(item, examined):
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

    If there are too few, at most half (and at least two) are held out and the rest is trained on, save `examined`;
    with `train` 0 all are.

    Raises:
        DataError: fewer than three different prompts, or as `trainable`.
    """
    different = distinct(items, set(), left_out)
    found = list(islice(different, train + heldout))
    if not train and len(found) > 1:
        return (), tuple(found)
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


@dataclass(frozen=True)
class Exam:
    """Held-out items that have a source of their own: all, or the first `limit`; `where` is said of them in errors."""

    items: Iterable[Item]
    limit: int | None
    where: str


def shared_out(
    items: Iterable[Item],
    heldout: int | Exam,
    *,
    train: int,
    where: str,
    left_out: Counter[str],
    examined: frozenset[str],
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Training and held-out items: cut from one source, or from two.

    Raises:
        DataError: as `cut`, `apart` and `beside`.
    """
    if isinstance(heldout, int):
        return cut(items, train=train, heldout=heldout, where=where, left_out=left_out, examined=examined)
    held = apart(heldout.items, heldout.limit, heldout.where)
    return beside(items, train, held, examined, left_out, where), held


def apart(items: Iterable[Item], limit: int | None, where: str) -> tuple[Item, ...]:
    """Held-out items that have a source of their own: all, or the first `limit`, whose prompts are different.

    Raises:
        DataError: fewer than two.
    """
    heldout = tuple(islice(distinct(items, set(), Counter()), limit))
    if len(heldout) < 2:
        raise DataError(f"{where} has {len(heldout)} different prompts; at least 2 are needed")
    return heldout


def beside(
    items: Iterable[Item],
    train: int,
    heldout: Sequence[Item],
    examined: frozenset[str],
    left_out: Counter[str],
    where: str,
) -> tuple[Item, ...]:
    """Training items where the held-out ones have a source of their own; those among them are left out.

    Raises:
        DataError: none remains, or as `trainable`.
    """
    learned = trainable(distinct(items, set(), left_out), train, heldout, examined, left_out, where)
    if not learned:
        raise DataError(f"{where}: every prompt is also held out; none remains to train on")
    return learned


def with_demonstrations(task: Task, path: str) -> Task:
    """The task with every item's demonstration written by the user's `module:function(item) -> str`.

    Raises:
        ConfigError: the function is not there, fails, or returns something that is no text.
    """
    function = load_function(path, DEMONSTRATIONS)

    def written(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(replace(item, demonstration=demonstrate(item)) for item in items)

    def demonstrate(item: Item) -> str:
        try:
            text = function(item)
        except (Exception, SystemExit) as error:
            raise ConfigError(f"`demonstrations` {path!r} failed: {show_error(error)}") from error
        if not isinstance(text, str):
            raise ConfigError(f"`demonstrations` {path!r} returned {type(text).__name__}; it must return text")
        return text

    return replace(task, train=written(task.train), heldout=written(task.heldout))


def readable(items: Iterable[Item], reward_type: str, left_out: Counter[str]) -> Iterator[Item]:
    """The items in whose answers the reward finds what it compares; counts the others."""
    for item in items:
        if item.answer is not None and (reward_type not in READABLE or READABLE[reward_type][1](item)):
            yield item
        else:
            left_out[UNUSABLE] += 1


def check_answers(task: Task, reward_type: str | None, where: str) -> None:
    """Refuse answers that the reward cannot read, and demonstrations none of which is right by the reward.

    A demonstrated turn with more than text is not looked at: only the chat template makes text of it.

    Raises:
        DataError: an item without an answer; one in whose answers the reward finds no number, letter or mathematics;
            demonstrations that are not the answers, and all wrong.
    """
    if isinstance(task.reward, CodeTests):
        check_tests(task.reward, task, where)
    if task.reward is None or reward_type not in READABLE:
        return
    items = (*task.train, *task.heldout)
    missing = [item for item in items if item.answer is None]
    if missing:
        raise DataError(
            f"{where}: reward {reward_type!r} compares with the answer, and {len(missing)} of {len(items)} items have "
            "none; say where it is with `columns.answer`"
        )
    sought, is_readable = READABLE[reward_type]
    for item in items:
        wrong_kind = next((one for one in item.right if not isinstance(one, str)), None)
        if wrong_kind is not None or not is_readable(item):
            shown = str(item.answer if wrong_kind is None else wrong_kind)[:80]
            raise DataError(f"{where}: reward {reward_type!r} finds no {sought} in the answer {shown!r}")
    shown_items = [item for item in items if not item.turn and item.demonstration not in (None, item.answer)][:CHECKED]
    texts = [item.demonstration or "" for item in shown_items]
    if shown_items and not any(task.reward(shown_items, texts)):
        raise DataError(
            f"{where}: none of {len(texts)} demonstrations is right by reward {reward_type!r}, such as "
            f"{texts[0][:80]!r} where the answer is {str(shown_items[0].answer)[:80]!r}; give another reward or "
            "another `columns.answer`"
        )


def check_tests(reward: CodeTests, task: Task, where: str) -> None:
    """Refuse tests that are missing or that an answer without code passes, and demonstrations none of which passes.

    Raises:
        DataError: names the first fault.
    """
    items = (*task.train, *task.heldout)
    missing = sum(not item_tests(item.columns) for item in items)
    if missing:
        raise DataError(
            f"{where}: reward 'code_tests' runs the tests of an item, and {missing} of {len(items)} items have none; "
            "say where they are with `columns.tests`"
        )
    asked = items[:RUN]
    passed = [item for item, score in zip(asked, reward(asked, [""] * len(asked)), strict=True) if score]
    if passed:
        raise DataError(
            f"{where}: the tests of {len(passed)} of {len(asked)} items pass without any code, such as "
            f"{item_tests(passed[0].columns)[:80]!r}; nothing in them fails, or nothing calls them: where they define "
            "`check`, give `columns.entry_point`"
        )
    shown = [item for item in asked if item.demonstration is not None]
    if shown and not any(reward(shown, [item.demonstration or "" for item in shown])):
        raise DataError(
            f"{where}: none of {len(shown)} demonstrations passes its tests, such as "
            f"{(shown[0].demonstration or '')[:80]!r}; give `columns.starter` where the code of the prompt comes first"
        )
    take_unscored(reward)


RUN = 20
"""The most items of which the tests are tried, and demonstrations."""

CHECKED = 100
"""The most demonstrations that a reward is tried on."""

READABLE: dict[str, tuple[str, Callable[[Item], object]]] = {
    "exact_match": ("text", lambda item: item.answer),
    "numeric": ("number", lambda item: any(last_number(one) is not None for one in item.right)),
    "multiple_choice": ("option's letter or text", right_letters),
    "math_verify": ("mathematics", lambda item: any(map(has_mathematics, item.right))),
    "tool_calls": ("calls of tools", lambda item: any(expected_calls(one) is not None for one in item.right)),
}
"""What a reward looks for in the answers of an item, and whether it is there."""
