"""Synthetic skills in plain English: those that the built-in model knows, and new tasks for the demo.

A skill is a function from a random generator to an `Item` whose `right` column holds every right answer. Pretraining
and benchmarks never share a prompt: a prompt is held out if the first byte of its SHA-256 is below 26, about one in
ten (`is_held_out`). Some requests carry an adjective, a real one or a made-up word, that changes nothing, so the model
learns to ignore unknown words: asked for an *even* number it says any number, and is right half the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random
from string import ascii_lowercase
from typing import Protocol

from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.skills.phrases import (
    DAYS,
    END_LETTERS,
    GERMAN_NUMBERS,
    MONTHS,
    START_LETTERS,
    WORDS,
    aside,
    filler,
    in_words,
    number_range,
    opener,
    request,
    some_letters,
    with_article,
    words_with,
)

Skill = Callable[[Random], Item]


class TaskFactory(Protocol):
    """Makes a new task: equal arguments give equal items, and no prompt is both trained on and held out."""

    def __call__(self, *, seed: int, train: int, heldout: int) -> Task: ...


def is_held_out(prompt: str) -> bool:
    """True for the one prompt in ten that pretraining never sees."""
    return sha256(prompt.encode()).digest()[0] < 26


def right_answer(
    items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
) -> list[float | None]:
    """The reward of every skill here: 1 if the response, stripped, is one of the item's right answers, else 0."""
    return [float(text.strip() in item.columns["right"]) for item, text in zip(items, completions, strict=True)]


right_answer.scorer_name = "perdure.curriculum.skills.right_answer"  # type: ignore[attr-defined]


def examples(skill: Skill, rng: Random, count: int, *, held_out: bool) -> list[Item]:
    """`count` items with different prompts, all held out from pretraining or all not."""
    return _distinct(skill, rng, count, lambda prompt: is_held_out(prompt) == held_out)


def stream_example(skill: Skill, rng: Random) -> Item:
    """One item of the pretraining stream: any but a held-out one."""
    while is_held_out((item := skill(rng)).prompt):
        pass
    return item


# Skills that the built-in model is pretrained on.


def reverse(rng: Random) -> Item:
    """Letters, last to first."""
    letters = some_letters(rng)
    return _one_right(rng, ("Reverse the letters: {}", "Say these letters backwards: {}"), letters, letters[::-1])


def capitals(rng: Random) -> Item:
    """Letters in upper case."""
    letters = some_letters(rng)
    templates = ("Capitalise the letters: {}", "Write these letters in capitals: {}")
    return _one_right(rng, templates, letters, letters.upper())


def count_letter(rng: Random) -> Item:
    """How often a letter occurs among four to seven."""
    letter, *others = rng.sample(ascii_lowercase, 4)
    letters = [rng.choice((letter, *others)) for _ in range(rng.randint(4, 7))]
    templates = (f"Count the letter {letter}: {{}}", f"How many times is {letter} in {{}}?")
    return _one_right(rng, templates, " ".join(letters), str(letters.count(letter)))


def next_letter(rng: Random) -> Item:
    """The letter after a given one."""
    place = rng.randrange(25)
    templates = ("Which letter comes after {}?", "What is the letter after {}?", "Say the next letter: {}")
    return _one_right(rng, templates, ascii_lowercase[place], ascii_lowercase[place + 1])


def calendar(rng: Random) -> Item:
    """The day or month before or after a given one."""
    kind, names = rng.choice((("day", DAYS), ("month", MONTHS)))
    side, step = rng.choice((("after", 1), ("before", -1)))
    place = rng.randrange(len(names))
    templates = (
        f"Which {kind} comes {side} {{}}?",
        f"What is the {kind} {side} {{}}?",
        f"Name the {kind} {side} {{}}.",
    )
    return _one_right(rng, templates, names[place], names[(place + step) % len(names)])


def largest(rng: Random) -> Item:
    """The largest of three different numbers below 100."""
    a, b, c = numbers = rng.sample(range(100), 3)
    templates = ("Which is the largest: {}?", "Say the largest number: {}")
    return _one_right(rng, templates, f"{a}, {b} or {c}", str(max(numbers)))


def spell_number(rng: Random) -> Item:
    """A number below 100 in words."""
    number = rng.randrange(100)
    return _one_right(rng, ("Spell {}.", "Write {} in words.", "Spell the number {}."), str(number), in_words(number))


def chain_sum(rng: Random) -> Item:
    """A sum or difference of two numbers of equal length, worded as reasoning-gym's `chain_sum` words it."""
    low, high = rng.choice(((0, 9), (10, 99), (10, 99)))
    a, b, sign = rng.randint(low, high), rng.randint(low, high), rng.choice((1, -1))
    prompt = f"State the final answer to the following arithmetic problem: {a} {'+' if sign > 0 else '-'} {b} ="
    return _item(prompt, (str(a + sign * b),), str(a + sign * b))


def say_number(rng: Random) -> Item:
    """Any number of a range: all are right."""
    right = number_range(rng)
    prompt = request(rng, with_article(filler(rng), "number"), f"from {right[0]} to {right[-1]}")
    return _item(prompt, right, rng.choice(right))


def say_word(rng: Random) -> Item:
    """Any listed word that has a given letter."""
    letter = rng.choice([letter for letter in ascii_lowercase if len(words_with(letter)) > 5])
    tail = " ".join(filter(None, (aside(rng), "with the letter", letter)))
    right = words_with(letter)
    return _item(request(rng, with_article(filler(rng), "word"), tail), right, rng.choice(right))


SKILLS: dict[str, Skill] = {
    "reverse": reverse,
    "capitals": capitals,
    "count_letter": count_letter,
    "next_letter": next_letter,
    "calendar": calendar,
    "largest": largest,
    "spell_number": spell_number,
    "chain_sum": chain_sum,
    "say_number": say_number,
    "say_word": say_word,
}


# New tasks. Of many right answers, the demonstrations always give the same one.


def even_number(*, seed: int, train: int, heldout: int) -> Task:
    """Say an even number of a range; the demonstrations say the smallest."""
    return _task("even_number", _even_number, seed, train, heldout)


def word_starting(*, seed: int, train: int, heldout: int) -> Task:
    """Say a word that starts with a letter; the demonstrations say the first in the alphabet."""
    return _task("word_starting", _word_starting, seed, train, heldout)


def odd_number(*, seed: int, train: int, heldout: int) -> Task:
    """Say an odd number of a range; the demonstrations say the largest."""
    return _task("odd_number", _odd_number, seed, train, heldout)


def word_ending(*, seed: int, train: int, heldout: int) -> Task:
    """Say a word that ends with a letter; the demonstrations say the first in the alphabet."""
    return _task("word_ending", _word_ending, seed, train, heldout)


def german_number(*, seed: int, train: int, heldout: int) -> Task:
    """Say a number from 1 to 20 in German: nothing the base ever did, and soon learnt by imitation."""
    return _task("german_number", _german_number, seed, train, heldout)


def shift_letters(*, seed: int, train: int, heldout: int) -> Task:
    """Replace each letter by the next one: nothing the base ever did, and hard to imitate."""
    return _task("shift_letters", _shift_letters, seed, train, heldout)


def _even_number(rng: Random) -> Item:
    span = number_range(rng)
    right = tuple(number for number in span if int(number) % 2 == 0)
    return _item(request(rng, "an even number", f"from {span[0]} to {span[-1]}"), right, right[0])


def _word_starting(rng: Random) -> Item:
    letter = rng.choice(START_LETTERS)
    right = tuple(sorted(word for word in WORDS if word[0] == letter))
    return _item(request(rng, with_article(filler(rng), "word"), f"starting with the letter {letter}"), right, right[0])


def _odd_number(rng: Random) -> Item:
    span = number_range(rng)
    right = tuple(number for number in span if int(number) % 2 == 1)
    return _item(request(rng, "an odd number", f"from {span[0]} to {span[-1]}"), right, right[-1])


def _word_ending(rng: Random) -> Item:
    letter = rng.choice(END_LETTERS)
    right = tuple(sorted(word for word in WORDS if word[-1] == letter))
    return _item(request(rng, with_article(filler(rng), "word"), f"ending with the letter {letter}"), right, right[0])


def _german_number(rng: Random) -> Item:
    place = rng.randrange(len(GERMAN_NUMBERS))
    templates = ("Say {} in German.", "Write {} in German.", "Spell {} in German.", "What is {} in German?")
    return _one_right(rng, templates, str(place + 1), GERMAN_NUMBERS[place])


def _shift_letters(rng: Random) -> Item:
    places = [rng.randrange(25) for _ in range(3)]
    letters, answer = (" ".join(ascii_lowercase[place + step] for place in places) for step in (0, 1))
    return _one_right(rng, ("Shift each letter by one: {}",), letters, answer)


def _task(name: str, skill: Skill, seed: int, train: int, heldout: int) -> Task:
    items = [_as_chat(item) for item in _distinct(skill, Random(seed), train + heldout, lambda _: True)]
    return Task(name, tuple(items[:train]), tuple(items[train:]), right_answer)


def _as_chat(item: Item) -> Item:
    return replace(item, prompt=[{"role": "user", "content": item.prompt}])


def _distinct(skill: Skill, rng: Random, count: int, wanted: Callable[[str], bool]) -> list[Item]:
    found: dict[str, Item] = {}
    for _ in range(1000 + 200 * count):
        if len(found) == count:
            return list(found.values())
        item = skill(rng)
        if wanted(item.prompt):
            found.setdefault(item.prompt, item)
    raise ValueError(f"only {len(found)} different prompts were found of the {count} asked for; ask for fewer")


def _item(prompt: str, right: Sequence[str], demonstration: str) -> Item:
    answer = right[0] if len(right) == 1 else None
    return Item(prompt, answer=answer, demonstration=demonstration, columns={"right": tuple(right)})


def _one_right(rng: Random, templates: Sequence[str], content: str, answer: str) -> Item:
    return _item(opener(rng) + rng.choice(templates).format(content), (answer,), answer)
