"""Formats for messages: paths, values, lists, and the nearest known word."""

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]
"""Keys and list indices from the root of a curriculum: `("stages", 0, "train")`."""


LONGEST_WORD = 100
"""Characters of a word for which a similar one is looked for: the time grows with their square."""


def show_path(path: Path) -> str:
    """`("stages", 0, "train")` as `stages[0].train`; keys that are no identifiers are quoted."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            word = shorten(part if part.replace("-", "_").isidentifier() else json.dumps(part))
            shown += f".{word}" if shown else word
    return shown


def shorten(text: str, limit: int = 60) -> str:
    """A text of at most `limit` characters, the rest as `…`."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def show_value(value: Any) -> str:
    """A value as YAML writes it, on one line of at most 60 characters, control characters escaped."""
    if isinstance(value, dict):
        shown = shorten(", ".join(map(str, value)))
        return f"a map ({shown})" if 0 < len(value) <= 4 else f"a map of {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…" + shown[-1]


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the choice nearest to a word, or nothing if none is near."""
    if not isinstance(word, str) or len(word) > LONGEST_WORD:
        return ""
    by_fold = {_fold(choice): choice for choice in choices}
    near = get_close_matches(_fold(word), list(by_fold), n=1, cutoff=0.6)
    return f"; did you mean {by_fold[near[0]]!r}?" if near else ""


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_")


def one_of(choices: Sequence[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(choice) for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def one_line(error: BaseException) -> str:
    """The text of another library's error on one line of at most 300 characters; what cannot be printed is escaped."""
    shown = printable(" ".join(str(error).split()) or type(error).__name__)
    return shown if len(shown) <= 300 else shown[:299] + "…"


def printable(text: str, kept: str = "\n") -> str:
    """Text with all escaped that could steer a terminal or reverse the writing, as `\\x1b`, but for `kept` characters.

    Everything that a model, a template, a file or a name says goes through here before it is shown.
    """
    return "".join(each if each.isprintable() or each in kept else ascii(each)[1:-1] for each in text)
