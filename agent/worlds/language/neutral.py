"""The prompts of the generic probe, from which a language model writes by itself: no user data is needed.

They take turns: nothing but the token that begins a text, a short opening, and twice the chat template, in which a
chat model is used: an empty question to be answered, a question to be asked, and openings as questions. A tokenizer
without such a token or template has the others alone.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import Any

from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.conversations import rendered
from perdure.agent.worlds.language.texts import Texts
from perdure.budget.errors import ModelError

OPENINGS = (
    *("The", "A", "In", "I", "It", "We", "This", "There", "When", "How", "What", "Once", "To", "For", "If", "On"),
    *("My", "As", "By", "One", "After", "Question:", "Title:", "Dear", "def", "import", "#", "1.", "<", "(", "Der"),
    "La",
)
"""Beginnings of texts of many kinds, each a word or a sign."""

EMPTY_QUESTION = [{"role": "user", "content": ""}]
_PLACE = "question"


def neutral_prompts(tokenizer: Any, count: int, seed: int) -> list[Any]:
    """`count` prompts, as text or messages; the openings are drawn at the seed, each once before any twice."""
    begin, openings = _begin(tokenizer), Random(seed).sample(OPENINGS, len(OPENINGS))
    chat = cycle(_chat(tokenizer, begin, openings))
    kinds = [cycle([] if begin is None else [begin]), chat, cycle([(begin or "") + one for one in openings]), chat]
    found: list[Any] = []
    for kind in cycle(kinds):
        if len(found) == count:
            return found
        found += islice(kind, 1)
    return found


def refuse_silence(texts: Texts, end_tokens: list[int], prompts: str) -> None:
    """Refuse a probe on which the base writes nothing.

    Raises:
        ModelError: all of its texts end with their first token.
    """
    written = texts.completions_R.tolist()
    if len(written) == len(texts.ids_ST) and set(written) <= set(end_tokens):
        raise ModelError(
            f"the generic probe is empty: the base ends each of its {len(written)} texts at once, on {prompts}. Name "
            "other prompts with `budget.generic: FILE`, or leave the probe out with `budget.probe: false`"
        )


def _begin(tokenizer: Any) -> str | None:
    """The text that is encoded as the beginning of a text and nothing more; `None`: the tokenizer has no such token."""
    for text in ("", tokenizer.bos_token):
        if text is not None and _encoded(tokenizer, text):
            return str(text)
    return None


def _chat(tokenizer: Any, begin: str | None, openings: Sequence[str]) -> Iterator[Any]:
    """The chat template with an empty question, up to the answer; up to a question; and with openings as questions."""
    if not getattr(tokenizer, "chat_template", None) or not _encoded(tokenizer, EMPTY_QUESTION):
        return
    yield EMPTY_QUESTION
    asked, found, _ = rendered(tokenizer, [{"role": "user", "content": _PLACE}]).partition(_PLACE)
    if begin == "" and tokenizer.bos_token is not None:
        asked = asked.removeprefix(tokenizer.bos_token)  # the tokenizer puts it there itself
    if found and asked and _encoded(tokenizer, asked):
        yield asked
    yield from ([{"role": "user", "content": one}] for one in openings)


def _encoded(tokenizer: Any, prompt: Any) -> list[int]:
    """The tokens of a prompt; none where it is refused."""
    try:
        return encode_prompt(tokenizer, prompt)
    except ModelError:
        return []
