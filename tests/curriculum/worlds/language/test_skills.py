"""Skills: every demonstration is right, new tasks are right by independent rules, nothing held out is streamed."""

import re
from random import Random

import pytest

from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.skills import skills
from perdure.curriculum.worlds.language.skills.phrases import RESERVED_WORDS

NEW_TASKS = (
    skills.even_number,
    skills.odd_number,
    skills.word_starting,
    skills.word_ending,
    skills.german_number,
    skills.shift_letters,
)


def asked(item: Item) -> str:
    """What an item asks, as text; the new tasks ask in chat messages."""
    return item.prompt if isinstance(item.prompt, str) else item.prompt[-1]["content"]


def numbers_in(item: Item) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", asked(item))]


@pytest.mark.parametrize("name", skills.SKILLS)
def test_every_demonstration_is_right(name: str) -> None:
    items = [skills.SKILLS[name](Random(seed)) for seed in range(200)]
    assert skills.right_answer(items, [f" {item.demonstration}\n" for item in items]) == [1.0] * 200
    assert skills.right_answer(items, ["nonsense"] * 200) == [0.0] * 200


@pytest.mark.parametrize("name", skills.SKILLS)
def test_held_out_prompts_are_never_streamed(name: str) -> None:
    held_out = skills.examples(skills.SKILLS[name], Random(1), 100, held_out=True)
    rng = Random(2)
    streamed = {skills.stream_example(skills.SKILLS[name], rng).prompt for _ in range(2000)}
    assert len({item.prompt for item in held_out}) == 100
    assert not streamed & {item.prompt for item in held_out}


@pytest.mark.parametrize(
    ("skill", "prompt", "answer"),
    [
        (skills.next_letter, r"after m\?$", "n"),
        (skills.calendar, r"month comes before January\?$", "December"),
        (skills.calendar, r"day after Sunday\?$", "Monday"),
        (skills.spell_number, r"Spell 42\.$", "forty-two"),
        (skills.spell_number, r"Spell 13\.$", "thirteen"),
        (skills.chain_sum, r": 3 - 8 =$", "-5"),
    ],
)
def test_answers_known_by_heart(skill: skills.Skill, prompt: str, answer: str) -> None:
    rng = Random(0)
    while not re.search(prompt, (item := skill(rng)).prompt):
        pass
    assert item.answer == answer


def test_reverse_and_capitals_change_what_the_prompt_shows() -> None:
    for seed in range(100):
        turned, raised = skills.reverse(Random(seed)), skills.capitals(Random(seed))
        assert str(turned.answer).split() == turned.prompt.split(": ")[1].split()[::-1]
        assert str(raised.answer).lower() == raised.prompt.split(": ")[1]
        assert str(raised.answer).isupper()


def test_largest_is_the_largest_of_the_prompt() -> None:
    for seed in range(100):
        item = skills.largest(Random(seed))
        assert item.answer == str(max(numbers_in(item)))


def test_chain_sum_is_worded_as_reasoning_gym_words_it() -> None:
    from reasoning_gym import create_dataset

    theirs = create_dataset("chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=2, size=50, seed=0)
    pattern = re.compile(r"(.*: )(\d+) ([+-]) (\d+) =")
    texts = [*(row["question"] for row in theirs), *(skills.chain_sum(Random(seed)).prompt for seed in range(50))]
    assert len({pattern.fullmatch(text)[1] for text in texts}) == 1


@pytest.mark.parametrize("make", NEW_TASKS)
def test_new_tasks_are_reproducible_and_their_parts_disjoint(make: skills.TaskFactory) -> None:
    task, again, other = (make(seed=seed, train=400, heldout=100) for seed in (0, 0, 1))
    assert task.fingerprint() == again.fingerprint() != other.fingerprint()
    prompts = {asked(item) for item in (*task.train, *task.heldout)}
    assert (len(task.train), len(task.heldout), len(prompts)) == (400, 100, 500)
    assert task.has_demonstrations
    assert task.reward is not None
    assert task.reward(task.train, [str(item.demonstration) for item in task.train]) == [1.0] * 400


def test_even_number_accepts_exactly_the_even_numbers_and_shows_the_smallest() -> None:
    for item in skills.even_number(seed=0, train=100, heldout=0).train:
        low, high = numbers_in(item)
        right = [number for number in range(low, high + 1) if number % 2 == 0]
        assert item.demonstration == str(right[0])
        for number in range(100):
            assert skills.right_answer([item], [str(number)]) == [float(number in right)]


def test_odd_number_accepts_exactly_the_odd_numbers_and_shows_the_largest() -> None:
    for item in skills.odd_number(seed=0, train=100, heldout=0).train:
        low, high = numbers_in(item)
        right = [number for number in range(low, high + 1) if number % 2 == 1]
        assert item.demonstration == str(right[-1])
        for number in range(100):
            assert skills.right_answer([item], [str(number)]) == [float(number in right)]


def test_word_ending_accepts_listed_words_only() -> None:
    task: Task = skills.word_ending(seed=0, train=100, heldout=0)
    item = next(item for item in task.train if asked(item).endswith("letter m."))
    assert item.demonstration == "arm"
    assert skills.right_answer([item] * 4, ["drum", "farm ", "mat", "team"]) == [1.0, 1.0, 0.0, 0.0]


def test_word_starting_accepts_listed_words_only() -> None:
    task: Task = skills.word_starting(seed=0, train=50, heldout=0)
    item = next(item for item in task.train if asked(item).endswith("letter h."))
    assert item.demonstration == "hand"
    assert skills.right_answer([item] * 4, ["house", "hat ", "fish", "hippo"]) == [1.0, 1.0, 0.0, 0.0]


def test_shift_letters_shifts_each_letter() -> None:
    for item in skills.shift_letters(seed=0, train=50, heldout=0).train:
        shown = asked(item).split(": ")[1].split()
        assert item.answer == " ".join(chr(ord(letter) + 1) for letter in shown)


def test_german_number_names_the_number() -> None:
    names = {numbers_in(item)[0]: item.answer for item in skills.german_number(seed=0, train=400, heldout=0).train}
    assert [names[number] for number in (1, 12, 16, 17, 20)] == ["eins", "zwölf", "sechzehn", "siebzehn", "zwanzig"]


def test_the_new_tasks_words_stay_out_of_pretraining() -> None:
    rng = Random(3)
    words = {word for _ in range(5000) for word in skills.say_word(rng).prompt.split()}
    assert not words & RESERVED_WORDS


def test_too_many_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="ask for fewer"):
        skills.examples(skills.next_letter, Random(0), 500, held_out=True)
