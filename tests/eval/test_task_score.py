"""What a result says of its item: made once a task, and the same to the last byte as if it were made each time."""

import gc
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval import task_score as task_scores
from perdure.eval.scorefile import write_scores
from perdure.eval.task_score import score_task

PROMPTS: list[Any] = ["one", [{"role": "user", "content": "zwö"}], {"z": 1, "a": Path("three")}]
"""Text, messages, and an observation with what JSON does not know."""


class Steady:
    """Answers every prompt with the same."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def respond(self, prompts: Sequence[Any], **_: Any) -> list[list[str]]:
        return [[self.answer] for _ in prompts]

    def fingerprint(self) -> str:
        return self.answer


def made(prompts: Sequence[Any] = PROMPTS) -> Task:
    items = [Item(prompt, answer=f"{index}", demonstration="two") for index, prompt in enumerate(prompts)]
    return Task("task", (), tuple(items), lambda items, completions, ids=None: [1.0, None, float("nan")])


def written(task: Task, answer: str, path: Path) -> bytes:
    score, items = score_task(task, Steady(answer), Evaluation(), "task")
    write_scores(path, score, {}, items)
    return path.read_bytes()


def test_a_file_is_the_same_however_often_the_task_was_asked(tmp_path: Path) -> None:
    task = made()
    first, _, second = [written(task, answer, tmp_path / "scores.jsonl") for answer in ("two", "three", "two")]
    assert first == second == written(made(), "two", tmp_path / "fresh.jsonl")


def test_every_line_says_what_the_item_is_by_hand(tmp_path: Path) -> None:
    task = made()
    # Keys are sorted, and what JSON does not know is written as `str` has it.
    texts = ['"one"', '[{"content": "zw\\u00f6", "role": "user"}]', '{"a": "three", "z": 1}']
    for answer in ("two", "three"):
        lines = written(task, answer, tmp_path / "scores.jsonl").decode().splitlines()[1:]
        expected: list[dict[str, Any]] = [
            {
                "id": f"{index}:{sha256(json.dumps([text, str(index), 'two']).encode()).hexdigest()[:12]}",
                "score": [1.0, None, 0.0][index],
                "prompt_sha256": sha256(text.encode()).hexdigest(),
                "prompt": ["one", "zwö", '{"a": "three", "z": 1}'][index],
                "expected": str(index),
                "completion": answer,
            }
            for index, text in enumerate(texts)
        ]
        expected[2]["note"] = "the reward was nan; counted as 0"
        assert lines == [json.dumps(line) for line in expected]


def test_nothing_is_kept_of_a_task_that_is_gone() -> None:
    gc.collect()
    before = dict(task_scores._IDENTITIES)
    for word in ("four", "five"):  # one after another, perhaps in the same place in memory
        task = made([word] * 3)
        _, items = score_task(task, Steady("two"), Evaluation(), "task")
        assert items[0].details["prompt_sha256"] == sha256(f'"{word}"'.encode()).hexdigest()
        del task
        gc.collect()
        assert before == task_scores._IDENTITIES
