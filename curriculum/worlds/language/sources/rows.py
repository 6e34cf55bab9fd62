"""Turns rows of a dataset into items: columns by dotted path, templates, chat messages, lettered options."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from perdure.budget.errors import DataError
from perdure.budget.json_lines import plain
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.task import Item, Message, Messages
from perdure.curriculum.worlds.cells import cell_text, digest, is_gap
from perdure.curriculum.worlds.language.rewards.answers import LETTERS
from perdure.curriculum.worlds.language.sources.chat import (
    Conversation,
    check_length,
    kind,
    read_messages,
    read_tools,
    split,
    without_weights,
)
from perdure.curriculum.worlds.language.sources.golds import AnswerReading, Choice
from perdure.curriculum.worlds.language.tasks import FOR_TESTS, Dataset

DatasetRow = Mapping[str, Any]
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


@dataclass(frozen=True)
class RowReader:
    """Turns rows into items as a curriculum's `columns`, `template` and `chat` say."""

    config: Dataset
    where: str
    columns: tuple[str, ...]
    place_of: Callable[[int], str] = "row {}".format
    reading: AnswerReading | None = None

    def item(self, row: DatasetRow, number: int) -> Item:
        """The item of one row.

        Raises:
            DataError: a column is missing or holds a value of another kind.
        """
        place = f"{self.where}, {self.place_of(number)}"
        options = self._options(row, place)
        said = self._conversation(row, options, place)
        spoken = self._completion(row, place) or said.answer
        turn = {key: value for key, value in (spoken or {}).items() if key not in ("role", "content")}
        text = None if spoken is None else spoken["content"]
        check_length(said.prompt, f"{place}: the prompt")
        gold, golds = self._golds(row, place)
        answers = tuple(self._answer(one, options, row, place) for one in golds)
        answer = answers[0] if answers else self._called(turn)
        columns = {
            name: plain(value) for name, value in row.items() if name not in ("prompt", "completion", "messages")
        }
        if options:
            columns["choices"] = options
        given = self.config.columns
        columns |= {ours: plain(self.value(row, given[ours], place)) for ours in FOR_TESTS if ours in given}
        check_length(text or answer or "", f"{place}: the answer")
        return Item(
            said.prompt,
            answer=answer or text or None,
            demonstration=(text if turn else text or answer) if said.learned else None,
            columns=columns,
            answers=answers if len(answers) > 1 else (),
            gold=None if gold == answer else plain(gold),
            turn=turn if said.learned else {},
            row=digest(row),
        )

    def _called(self, turn: Mapping[str, Any]) -> str | None:
        """The calls of the turn to learn as an answer, for a reward that compares calls."""
        reward = self.config.reward
        asked = reward is not None and reward.type == "tool_calls" and "tool_calls" in turn
        return json.dumps(turn["tool_calls"], sort_keys=True) if asked else None

    def _their_name(self, ours: str) -> str | None:
        """The path in the data of one of our columns: as mapped, or a column of the same name."""
        mapped: str | None = self.config.columns.get(ours)  # type: ignore[call-overload]
        return mapped if mapped is not None else (ours if ours in self.columns else None)

    def value(self, row: DatasetRow, path: str, place: str) -> Any:
        """The value at a dotted path: keys inside maps, numbers inside lists; whole column names come first."""
        if path in row:
            return row[path]
        value: Any = row
        for depth, part in enumerate(path.split(".")):
            value, missing = _step(value, part)
            if missing is not None:
                inside = f" in {'.'.join(path.split('.')[:depth])!r}" if depth else ""
                has = f" (there are {', '.join(missing)})" if missing else ""
                raise DataError(f"{place}: no column {part!r}{inside}{did_you_mean(part, missing)}{has}")
        return value

    def _conversation(self, row: DatasetRow, options: list[str], place: str) -> Conversation:
        """The prompt, and the answer if it came with the messages."""
        config = self.config
        if config.template is not None:
            filled = _text(self._fill(config.template, row, options, place), f"{place}: the filled `template`")
            return self._said(filled, row, place)
        asks_for_text = "prompt" in config.columns or "question" in config.columns
        messages = None if asks_for_text else self._their_name("messages")
        if messages is not None:
            where = f"{place}, column {messages!r}"
            said = split(read_messages(self.value(row, messages, place), where, config.ignore_keys), where)
            return replace(said, prompt=self._complete(said.prompt, row, place))
        path = config.columns.get("prompt") or config.columns.get("question")
        path = path or self._their_name("prompt") or self._their_name("question")
        if path is None:
            raise DataError(
                f"{self.where} has no column `prompt`, `question` or `messages`: map one by `columns.prompt` or write "
                f"a `template`; there are {', '.join(self.columns)}"
            )
        value, where = self.value(row, path, place), f"{place}, column {path!r}"
        if not isinstance(value, list):
            return self._said(_text(value, where), row, place)
        read = without_weights(read_messages(value, where, config.ignore_keys), where)
        if not config.chat:
            raise DataError(f"{where} holds chat messages, and `chat` is false")
        return Conversation(self._complete(read, row, place))

    def _said(self, text: str, row: DatasetRow, place: str) -> Conversation:
        if not self.config.chat:
            return Conversation(text)
        tools = "tools" in self.config.columns  # a column of that name goes with messages alone, as in TRL
        return Conversation(self._complete([{"role": "user", "content": text}], row, place, tools=tools))

    def _complete(self, messages: Messages, row: DatasetRow, place: str, *, tools: bool = True) -> Messages:
        """The messages with the system turn and the tools that stand in columns of their own."""
        messages = self._with_system(messages, row, place)
        path = self._their_name("tools") if tools and "tools" not in self.config.ignore_keys else None
        found = [] if path is None else read_tools(self.value(row, path, place), f"{place}, column {path!r}")
        if found and "tools" in messages[0]:
            raise DataError(f"{place}: the first message has `tools`, and the column {path!r} gives others")
        return [{**messages[0], "tools": found}, *messages[1:]] if found else messages

    def _with_system(self, messages: Messages, row: DatasetRow, place: str) -> Messages:
        """The messages after a system turn with the text of `columns.system`; none where the cell is empty."""
        path = self.config.columns.get("system")
        value = None if path is None else self.value(row, path, place)
        if is_gap(value) or (isinstance(value, str) and not value.strip()):
            return messages
        if messages[0]["role"] == "system" and messages[0]["content"] != value:
            raise DataError(f"{place}: the messages begin with a system turn, and `columns.system` gives another one")
        rest = messages[1:] if messages[0]["role"] == "system" else messages
        return [{"role": "system", "content": _text(value, f"{place}, column {path!r}")}, *rest]

    def _completion(self, row: DatasetRow, place: str) -> Message | None:
        path = self._their_name("completion")
        if path is None:
            return None
        value, where = self.value(row, path, place), f"{place}, column {path!r}"
        if not isinstance(value, list):
            return {"role": "assistant", "content": _text(value, where)}
        messages = without_weights(read_messages(value, where, self.config.ignore_keys), where, learned=0)
        if len(messages) > 1 or messages[0]["role"] != "assistant":
            raise DataError(
                f"{where}: the answer to learn is one turn of the assistant; put turns before it into `prompt`"
            )
        return messages[0]

    def _golds(self, row: DatasetRow, place: str) -> tuple[Any, list[Any]]:
        """The cell of the answer, and the right answers in it: several if it is a list of texts or numbers."""
        path = self._their_name("answer")
        value: Any = None if path is None else self.value(row, path, place)
        several = isinstance(value, list) and not any(isinstance(one, (list, Mapping)) for one in value)
        cells: list[Any] = value if several else [value]
        golds = [one for one in cells if not is_gap(one)]
        if not golds and "answer" in self.config.columns:
            raise DataError(f"{place}: column {path!r} is empty, and `columns.answer` names it")
        return plain(value), golds

    def _answer(self, gold: Any, options: list[str], row: DatasetRow, place: str) -> str:
        if not self.chooses:
            return cell_text(gold, f"{place}, column {self._their_name('answer')!r}")
        found = self.reading(Choice(plain(gold), options, self._labels(row, place))) if self.reading else None
        if found is None:
            raise DataError(f"{place}: the answer {str(gold)[:80]!r} says none of the {len(options)} options")
        return LETTERS[found]

    @property
    def chooses(self) -> bool:
        """True if an answer is the letter of one of the options."""
        by_letter = self.config.reward is not None and self.config.reward.type == "multiple_choice"
        return self._their_name("choices") is not None and (by_letter or self.config.answer_is is not None)

    def choices(self, row: DatasetRow) -> list[Choice]:
        """The right answers of a row among its options; none of a row that cannot be read."""
        try:
            options, labels = self._options(row, self.where), self._labels(row, self.where)
            return [Choice(plain(gold), options, labels) for gold in self._golds(row, self.where)[1]]
        except DataError:
            return []

    def _choices(self, row: DatasetRow, place: str) -> Any:
        path = self._their_name("choices")
        return None if path is None else self.value(row, path, place)

    def _options(self, row: DatasetRow, place: str) -> list[str]:
        """The texts of the options: `choices` is a list, or a map with a list `text`; empty if there are none."""
        choices = self._choices(row, place)
        texts = choices.get("text") if isinstance(choices, Mapping) else choices
        if isinstance(texts, list) and len(texts) <= len(LETTERS):
            return [cell_text(text, f"{place}, `choices`") for text in texts]
        if "choices" in self.config.columns:
            raise DataError(
                f"{place}: column {self.config.columns['choices']!r} is no list of up to {len(LETTERS)} options "
                f"and no map with such a list `text`"
            )
        return []

    def _labels(self, row: DatasetRow, place: str) -> list[str]:
        choices = self._choices(row, place)
        labels = choices.get("label") if isinstance(choices, Mapping) else None
        return [str(label) for label in labels] if isinstance(labels, list) else []

    def _fill(self, template: str, row: DatasetRow, options: list[str], place: str) -> str:
        """The template with every `{column}` filled in; `{choices}` is the lettered list; `{{` and `}}` are braces."""

        mapped: dict[str, str] = {str(ours): theirs for ours, theirs in self.config.columns.items()}

        def filled(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            name = match[1].strip()
            if name == "choices" and options:
                return "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, options, strict=False))
            path = mapped.get(name, name)
            value = self.value(row, path, f"{place}: `template`")
            return "" if is_gap(value) else cell_text(value, f"{place}, column {path!r}")

        return _FIELD.sub(filled, template)


def _step(value: Any, part: str) -> tuple[Any, list[str] | None]:
    """The value one part of a path further, or the names that are there instead."""
    if isinstance(value, Mapping):
        return (value[part], None) if part in value else (None, list(map(str, value)))
    if isinstance(value, list):
        if part.isdigit() and int(part) < len(value):
            return value[int(part)], None
        return None, [f"0 to {len(value) - 1}"] if value else []
    return None, []


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        inside = ""
        if isinstance(value, Mapping):
            inside = f"; reach inside with a dot, one of {', '.join(map(str, value))}"
        raise DataError(f"{place} holds {kind(value)}, not text{inside}")
    if not value.strip():
        raise DataError(f"{place} is empty")
    return value
