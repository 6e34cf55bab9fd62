"""`builtin:skills`: the general prompts of the built-in model."""

from pathlib import Path

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.language.skills.skills import SKILLS, is_held_out
from perdure.curriculum.worlds.language.sources.prompts import load_prompts

SKILLS_PATH = Path("builtin:skills")


def test_they_are_always_the_same_and_none_is_a_benchmarks() -> None:
    many = load_prompts(SKILLS_PATH, 40)
    texts = [messages[0]["content"] for messages in many]
    assert len(set(texts)) == 40
    assert {messages[0]["role"] for messages in many} == {"user"}
    assert not any(map(is_held_out, texts))
    assert load_prompts(SKILLS_PATH, 7) == many[:7]


def test_every_skill_comes_in_turn() -> None:
    texts = [messages[0]["content"] for messages in load_prompts(SKILLS_PATH, 2 * len(SKILLS))]
    place = list(SKILLS).index("chain_sum")
    assert all("arithmetic problem" in texts[at] for at in (place, place + len(SKILLS)))


def test_other_names_and_too_many_are_explained() -> None:
    with pytest.raises(DataError, match="there is no 'builtin:others'; shipped with perdure: builtin:skills"):
        load_prompts(Path("builtin:others"), 4)
    assert len(load_prompts(SKILLS_PATH, 2000)) == 2000
    with pytest.raises(DataError, match="builtin:skills has 2000 prompts, and 2001 are needed"):
        load_prompts(SKILLS_PATH, 2001)
