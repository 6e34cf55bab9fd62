"""Gold answers of multiple choice: as an index, a letter, an option's text, or a label that the data gives its options.

Over a file there is one reading. One that cannot read every answer is out; where those that remain differ in an answer,
the curriculum has to say which it is (`answer_is`, `first_index`): nothing is guessed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.language.rewards.answers import LETTERS, normalise
from perdure.curriculum.worlds.language.tasks import Dataset

MOST_ROWS = 20_000
"""The most rows of a split by which the reading is found."""


@dataclass(frozen=True)
class Choice:
    """One gold answer as its cell holds it, the texts of the row's options, and their labels if the data has them."""

    value: Any
    options: Sequence[str]
    labels: Sequence[str] = ()


AnswerReading = Callable[[Choice], int | None]
"""The place of the option that is right, from 0; `None` where the answer cannot be read so."""


def by_text(one: Choice) -> int | None:
    """The option of which the answer is the text."""
    texts, wanted = [normalise(option) for option in one.options], normalise(str(one.value))
    return texts.index(wanted) if isinstance(one.value, str) and texts.count(wanted) == 1 else None


def by_letter(one: Choice) -> int | None:
    """`B`, `b`, `(B)`, `B.`: the second option."""
    letter = str(one.value).strip().strip("().").upper() if isinstance(one.value, str) else ""
    return LETTERS.index(letter) if len(letter) == 1 and letter in LETTERS[: len(one.options)] else None


def by_index(first: int) -> AnswerReading:
    """A number counted from `first`, also one that is written as text."""

    def read(one: Choice) -> int | None:
        text = str(one.value).strip()
        whole = isinstance(one.value, (int, str)) and not isinstance(one.value, bool) and text.isdecimal()
        place = int(text) - first if whole and len(text) < 4 else -1
        return place if 0 <= place < len(one.options) else None

    return read


def by_label(one: Choice) -> int | None:
    """The option that has this label in the data."""
    labels = list(one.labels)
    return labels.index(str(one.value)) if labels.count(str(one.value)) == 1 else None


READINGS: dict[str, AnswerReading] = {
    "`answer_is: text`": by_text,
    "`answer_is: letter`": by_letter,
    "`answer_is: index` and `first_index: 0`": by_index(0),
    "`answer_is: index` and `first_index: 1`": by_index(1),
}
"""The readings, by the settings that name one."""


def find_reading(config: Dataset, answers: Iterable[Choice], where: str) -> AnswerReading:
    """The one reading of a file's answers.

    Raises:
        DataError: no reading reads all of them; or several do, and differ in one.
    """
    choices = list(answers)
    named = _named(config)
    if not named and all(by_label(one) is not None for one in choices):
        return by_label
    candidates = {name: READINGS[name] for name in named or READINGS}
    fits = {name: reading for name, reading in candidates.items() if all(reading(one) is not None for one in choices)}
    if not fits:
        raise DataError(f"{where}: {_unread(candidates, choices)}")
    first, *others = fits.values()
    for one in choices:
        if len({reading(one) for reading in (first, *others)}) > 1:
            read = ", ".join(f"{name} makes it {_option(reading, one)}" for name, reading in fits.items())
            raise DataError(f"{where}: the answer {one.value!r} can be read in {len(fits)} ways: {read}; say which")
    return first


def _named(config: Dataset) -> list[str]:
    """The readings that the settings leave; none where they say nothing."""
    if config.answer_is is None:
        return []
    end = "" if config.first_index is None else f": {config.first_index}`"
    return [name for name in READINGS if f"`answer_is: {config.answer_is}`" in name and name.endswith(end)]


def _unread(candidates: dict[str, AnswerReading], choices: Sequence[Choice]) -> str:
    """The answer that the reading which gets farthest cannot read."""
    far = {name: sum(reading(one) is not None for one in choices) for name, reading in candidates.items()}
    best = max(far, key=lambda name: far[name])
    fault = next(one for one in choices if candidates[best](one) is None)
    shown = ", ".join(option[:40] for option in fault.options)
    return (
        f"the answer {str(fault.value)[:80]!r} is no option of {shown} when read by {best}, by which {far[best]} of "
        f"{len(choices)} answers can be read"
    )


def _option(reading: AnswerReading, one: Choice) -> str:
    place = reading(one)
    return "" if place is None else f"{one.options[place][:40]!r}"
