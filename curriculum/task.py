"""Tasks: the contract that task sources fill and that updates, scorecards and monitors read."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

Message = dict[str, Any]
Messages = list[Message]

REPEATED, EXAMINED, UNUSABLE, READ = "repeated", "examined", "unusable", "read"
"""Reasons for which a source leaves an item out: its prompt came before; its question is examined somewhere; it lacks
what the task asks for."""


@dataclass(frozen=True)
class Item:
    """One prompt, and all that is known of it.

    `prompt` is text or chat messages in the language world, an observation elsewhere. `answer` is the reference that
    a reward compares with, `demonstration` one full response to imitate; either may be missing. `columns` holds
    everything else from the source; a reward sees it. Where several answers are right, `answers` are all of them, the
    first of which is `answer`. `gold` is what the source has in place of `answer`, if that is not the same text. `turn`
    is what the demonstrated chat message has beside its text, such as `tool_calls`, until the world has made text of it
    (`World.fitted`). The first message of a prompt may hold `tools`, which the chat template is given. `row` is a hash
    of the row of data that it was made of.
    """

    prompt: Any
    answer: str | None = None
    demonstration: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    gold: Any = None
    turn: Mapping[str, Any] = field(default_factory=dict)
    row: str | None = None

    @property
    def right(self) -> tuple[str, ...]:
        """Every answer that is right; empty where none is known."""
        return self.answers or (() if self.answer is None else (self.answer,))


class Reward(Protocol):
    """Scores responses: one figure an item, `None` where the reward does not apply."""

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]: ...


@dataclass(frozen=True)
class Task:
    """Training items, held-out items, and a reward (`None`: the task can only be imitated).

    `left_out` counts the items of the source that were not taken, by the reason (`REPEATED`, `EXAMINED`, `UNUSABLE`),
    and all that were `READ`, where the source counts them.
    """

    name: str
    train: tuple[Item, ...]
    heldout: tuple[Item, ...]
    reward: Reward | None = None
    left_out: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def has_demonstrations(self) -> bool:
        """True if every training item has a demonstration, or an oracle to write one from the base (`writer`)."""
        return bool(self.train) and self.demonstrated == len(self.train)

    @property
    def demonstrated(self) -> int:
        """How many training items have a demonstration, or an oracle to write one."""
        return sum(item.demonstration is not None or item.columns.get("writer") == "oracle" for item in self.train)

    @property
    def is_played(self) -> bool:
        """True if its prompts are answered by turns in an environment: their attribute `plays` is true."""
        return any(getattr(item.prompt, "plays", False) for item in (*self.train, *self.heldout)[:1])

    def fingerprint(self) -> str:
        """SHA-256 of every item; equal for equal data, whatever file it came from."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = sha256()
        for item in (*self.train, None, *self.heldout):
            row = None if item is None else [item.prompt, item.answer, item.demonstration, dict(item.columns)]
            row = [*row, dict(item.turn)] if row and item is not None and item.turn else row
            row = [*row, list(item.answers)] if row and item is not None and item.answers else row
            digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
        return digest.hexdigest()


def derived_seed(seed: int, use: str) -> int:
    """A seed below 2³² for one use of the curriculum's seed."""
    return int.from_bytes(sha256(f"{seed}/{use}".encode()).digest()[:4])


def prompt_key(item: Item) -> str:
    """A text that is equal for equal prompts."""
    return json.dumps(item.prompt, sort_keys=True, default=str)


def question(prompt: Any) -> str:
    """The question of a prompt: two items with the same one are the same item, whatever their answers are.

    It is the text in Unicode's form NFC with every run of whitespace one blank; of messages the turns without the
    system's, and of one turn its text. Another kind of prompt says it by an attribute `identity`, else it is its JSON.
    """
    if isinstance(prompt, str):
        return " ".join(unicodedata.normalize("NFC", prompt).split())
    if isinstance(prompt, list) and prompt and all(isinstance(turn, Mapping) for turn in prompt):
        turns = [turn for turn in prompt if turn.get("role") != "system"] or prompt
        said = [question(turn.get("content")) for turn in turns]
        roles = [turn.get("role") for turn in turns]
        return said[0] if len(said) == 1 else json.dumps(list(zip(roles, said, strict=True)))
    identity: str | None = getattr(prompt, "identity", None)
    return identity if identity is not None else json.dumps(prompt, sort_keys=True, default=str)


def shown(prompt: Any) -> str:
    """A prompt as people read it: a text as it is, messages a turn a line, anything else by its attribute `words` or as
    its own text.
    """
    words: str | None = prompt if isinstance(prompt, str) else getattr(prompt, "words", None)
    if words is not None:
        return words
    if isinstance(prompt, list) and prompt and all(isinstance(turn, Mapping) for turn in prompt):
        turns = [{"role": "user"} | dict(turn) for turn in prompt]
        if [turn.keys() for turn in turns] == [{"role", "content"}] and isinstance(turns[0]["content"], str):
            return str(turns[0]["content"])
        return "\n".join(_turn(turn) for turn in turns)
    return json.dumps(prompt, sort_keys=True, default=str) if isinstance(prompt, list | Mapping) else str(prompt)


def _turn(turn: Mapping[str, Any]) -> str:
    """`user: Say it.`, and whatever else the message holds as JSON."""
    said, more = turn.get("content"), {key: one for key, one in turn.items() if key not in ("role", "content")}
    words = said if isinstance(said, str) else "" if said is None else json.dumps(said, default=str)
    return " ".join(part for part in (f"{turn['role']}:", words, json.dumps(more, default=str) if more else "") if part)


def expected(item: Item) -> str | list[str] | None:
    """The answer that is expected, all of them where several are right, else the demonstration."""
    return list(item.right) if len(item.right) > 1 else next(iter(item.right), item.demonstration)


def keys(item: Item) -> tuple[str, ...]:
    """The keys of an item, of which two that are the same have one in common: its question, and its row of data."""
    return (question(item.prompt), *(() if item.row is None else (item.row,)))


def questions(items: Iterable[Item]) -> frozenset[str]:
    """The keys of items."""
    return frozenset(key for item in items for key in keys(item))


def is_among(item: Item, known: frozenset[str]) -> bool:
    """True if an item is one of those of which these are the keys."""
    return any(key in known for key in keys(item))


def matches_demonstration(item: Item, completion: str) -> float | None:
    """1 for the demonstration or another right answer, surrounding blanks ignored; `None` without a demonstration."""
    texts = {one.strip() for one in (item.demonstration, *item.answers) if one is not None}
    return None if item.demonstration is None else float(completion.strip() in texts)


def scorer_name(reward: Reward) -> str:
    """The name of the function behind a reward, for fingerprints; its settings are no part of it (`scorer_key`).

    A reward whose class was moved keeps its name as `scorer_name`, so that fingerprints of earlier versions hold.
    """
    own: str | None = getattr(reward, "scorer_name", None)
    if own is not None:
        return own
    named = reward if hasattr(reward, "__qualname__") else type(reward)
    return f"{named.__module__}.{named.__qualname__}"


def scorer_key(reward: Reward) -> str:
    """The function behind a reward and, where it has some, its settings (`scorer_settings`).

    Cells of a sweep share scores, and may differ in nothing but these.
    """
    settings = getattr(reward, "scorer_settings", "")
    return f"{scorer_name(reward)} {settings}" if settings else scorer_name(reward)


def take_unscored(reward: Reward | None) -> dict[str, int]:
    """How many answers got 0 without a verdict since this was last asked, by why (`too slow`, `crashed`, …).

    A reward that can say so counts them in `unscored`.
    """
    counts: Counter[str] = getattr(reward, "unscored", None) or Counter()
    found = dict(sorted(counts.items()))
    counts.clear()
    return found
