"""The prompts from which a language model writes by itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.neutral import OPENINGS, neutral_prompts, refuse_silence
from perdure.agent.worlds.language.texts import padded
from perdure.budget.errors import ModelError

BOS, USER, ASSISTANT = 1, 2, 3


class Characters:
    """A tokenizer of characters, each its own code, and of special tokens by name."""

    eos_token, eos_token_id, bos_token = "</s>", 0, "<s>"
    special = {"<s>": BOS, "<user>": USER, "<assistant>": ASSISTANT}

    def __init__(self, *, begins: bool = False, bos: bool = True, template: Callable[[str], str] | None = None) -> None:
        self.begins, self.chat_template = begins, template and "a template"
        self._template = template
        if not bos:
            self.bos_token = None  # type: ignore[assignment]

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        for name, number in self.special.items():
            text = text.replace(name, chr(number))
        return {"input_ids": [BOS] * (self.begins and add_special_tokens) + [ord(one) for one in text]}

    def apply_chat_template(
        self, messages: Any, *, add_generation_prompt: bool = False, tokenize: bool = False, **_: Any
    ) -> str:
        assert self._template is not None
        return self._template(messages[0]["content"]) + "<assistant>" * add_generation_prompt


def chat(question: str) -> str:
    return f"<s><user>{question}"


def no_empty_question(question: str) -> str:
    if not question:
        raise ValueError("nothing is asked")
    return chat(question)


def encoded(tokenizer: Any, count: int) -> list[list[int]]:
    return [encode_prompt(tokenizer, one) for one in neutral_prompts(tokenizer, count, seed=0)]


@pytest.mark.parametrize("begins", [True, False])
def test_the_beginning_openings_and_twice_the_chat_template_take_turns(begins: bool) -> None:
    found = encoded(Characters(begins=begins, template=chat), 8)
    assert found[::4] == [[BOS], [BOS]]
    assert found[1] == [BOS, USER, ASSISTANT]
    assert found[3] == [BOS, USER]
    first, second = ("".join(map(chr, one[1:])) for one in found[2::4])
    assert {first, second} < set(OPENINGS)
    assert found[5::2] == [[BOS, USER, *map(ord, one), ASSISTANT] for one in (first, second)]


def test_a_tokenizer_without_a_beginning_or_template_has_the_openings_alone() -> None:
    found = neutral_prompts(Characters(bos=False), len(OPENINGS) + 2, seed=0)
    assert sorted(found[:-2]) == sorted(OPENINGS)
    assert found[-2:] == found[:2]


def test_a_template_that_takes_no_empty_question_is_left_out() -> None:
    found = encoded(Characters(template=no_empty_question), 20)
    assert not any(USER in one for one in found)
    assert found[::2] == [[BOS]] * 10


def test_they_are_drawn_at_the_seed_and_fewer_are_the_first_of_more() -> None:
    tokenizer = Characters(template=chat)
    assert neutral_prompts(tokenizer, 4, seed=1) == neutral_prompts(tokenizer, 9, seed=1)[:4]
    assert neutral_prompts(tokenizer, 9, seed=1) != neutral_prompts(tokenizer, 9, seed=2)


def test_a_base_that_writes_nothing_is_refused() -> None:
    silent = padded([[5, 0], [5, 6, 0]], [1, 2], 0)
    with pytest.raises(ModelError, match=r"the generic probe is empty: the base ends each of its 2 texts at once"):
        refuse_silence(silent, [0], "neutral openings")
    refuse_silence(silent, [9], "neutral openings")
    refuse_silence(padded([[5, 0], [5, 7, 0]], [1, 1], 0), [0], "neutral openings")
    assert silent.completions_R.equal(torch.tensor([0, 0]))
