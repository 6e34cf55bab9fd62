"""`perdure demonstrate`: a teacher's answers to the training prompts of a stage, as far as the reward accepts them.

Each prompt is asked once. Accepted answers are rows that `type: dataset` reads; beside them, `FILE.progress` says which
prompts are done and how long the file was then, so that a command that was ended, however it ended, goes on without an
answer twice or half. No held-out prompt of any stage is asked.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.task import Item, Message, Task, derived_seed, prompt_key


@dataclass(frozen=True)
class Asked:
    """How a prompt is asked; an answer is accepted whose reward is at least `success`."""

    num_generations: int
    max_completion_length: int
    temperature: float
    success: float


@dataclass(frozen=True)
class Answer:
    """One answer: the text that the reward is given, and the assistant's turn that is imitated."""

    text: str
    turn: Message


class Teacher(Protocol):
    """A model that is asked; `batch_size` prompts at once."""

    name: str
    batch_size: int

    def answers(self, prompts: Sequence[Any], asked: Asked, *, seed: int) -> list[list[Answer]]:
        """`num_generations` answers to each prompt. Raises ModelError."""
        ...


@dataclass(frozen=True)
class Counts:
    """Prompts asked in all, those with an accepted answer, and accepted answers."""

    asked: int
    solved: int
    accepted: int


def demonstrate(
    task: Task, teacher: Teacher, asked: Asked, output: Path, *, seed: int, show: Callable[[str], object]
) -> Counts:
    """Ask for every training item of a task that is not done; equal answers to a prompt are one.

    Raises:
        ConfigError: the task has no reward.
        RunError: the file is there and was not begun so.
        ModelError: the teacher does not answer; what it answered before is kept.
    """
    if task.is_played:
        raise ConfigError(f"task {task.name!r} is played in turns, and a teacher is asked for single answers")
    if task.reward is None:
        raise ConfigError(f"task {task.name!r} has no reward to accept answers by; give it one")
    progress = Progress(output, {"task": task.fingerprint(), "teacher": teacher.name, "seed": seed, **asdict(asked)})
    left = [item for item in task.train if _key(item) not in progress.done]
    for start in range(0, len(left), teacher.batch_size):
        show(f"{len(progress.done)} of {len(task.train)} prompts asked, {progress.counts.accepted} answers accepted")
        chosen = left[start : start + teacher.batch_size]
        found = teacher.answers([item.prompt for item in chosen], asked, seed=derived_seed(seed, _key(chosen[0])))
        for item, answers in zip(chosen, found, strict=True):
            scores = task.reward([item] * len(answers), [one.text for one in answers])
            progress.add(item, _rows(item, answers, scores, asked.success))
    return progress.counts


def _rows(
    item: Item, answers: Sequence[Answer], scores: Sequence[float | None], success: float
) -> Iterator[dict[str, Any]]:
    seen = set[str]()
    for answer, score in zip(answers, scores, strict=True):
        if score is not None and score >= success and answer.text not in seen:
            seen.add(answer.text)
            yield _row(item, answer)


def _row(item: Item, answer: Answer) -> dict[str, Any]:
    """A row of a dataset: the prompt, the turn, and what the reward compares with."""
    known = {"answer": list(item.right)} if item.right else {}
    known |= {"choices": item.columns["choices"]} if "choices" in item.columns else {}
    if isinstance(item.prompt, str):
        return {"prompt": item.prompt, "completion": answer.text, **known}
    first, *rest = item.prompt
    tools = {"tools": first["tools"]} if "tools" in first else {}
    asked = [{key: value for key, value in first.items() if key != "tools"}, *rest]
    return {"prompt": asked, "completion": [answer.turn], **tools, **known}


def _key(item: Item) -> str:
    return sha256(prompt_key(item).encode()).hexdigest()


class Progress:
    """The file of accepted answers, and beside it the file that says what is done.

    Raises:
        RunError: the file is there without the other, or was begun with other settings.
    """

    def __init__(self, output: Path, begun: Mapping[str, Any]) -> None:
        self._output, self._log = output, output.with_name(f"{output.name}.progress")
        self.done: dict[str, int] = {}
        if not self._log.exists():
            if output.exists():
                raise RunError(f"{output} exists and was not begun by this command; choose another --output")
            _append(self._log, json.dumps(begun))
        *whole, partial = self._log.read_bytes().split(b"\n")
        lines = [json.loads(line) for line in whole]
        if not lines or lines[0] != dict(begun):
            differs = next((key for key in begun if lines and lines[0].get(key) != begun[key]), "its beginning")
            raise RunError(
                f"{output} was begun with other settings ({differs}); give them again, or choose another --output"
            )
        if partial:
            os.truncate(self._log, sum(len(line) + 1 for line in whole))
        self.done = {line["prompt"]: line["accepted"] for line in lines[1:]}
        end = lines[-1].get("end", 0)
        output.touch()
        if output.stat().st_size < end:
            raise RunError(f"{output} is shorter than it was; choose another --output")
        os.truncate(output, end)  # rows of a prompt that was not done

    def add(self, item: Item, rows: Iterator[dict[str, Any]]) -> None:
        """Write the rows of a prompt, and then that it is done."""
        written = [json.dumps(row, ensure_ascii=False) for row in rows]
        _append(self._output, *written)
        end = self._output.stat().st_size
        _append(self._log, json.dumps({"prompt": _key(item), "accepted": len(written), "end": end}))
        self.done[_key(item)] = len(written)

    @property
    def counts(self) -> Counts:
        """Of all prompts that are done."""
        return Counts(len(self.done), sum(one > 0 for one in self.done.values()), sum(self.done.values()))


def _append(path: Path, *lines: str) -> None:
    with path.open("ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
