"""No item is trained on and examined, whatever stage, file, order, world or seed it comes from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.tasks import build_tasks, keep_apart
from perdure.budget.errors import DataError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import EXAMINED, Item, Task, question, questions
from perdure.eval.benchmarks import examined_by, prepare_benchmarks
from tests.curriculum.worlds.language.sources.building import write_rows

ROWS: list[dict[str, Any]] = [{"question": f"word {n}?", "answer": str(n * 7919 % 97)} for n in range(60)]
"""Sixty questions whose answers cannot be guessed."""


def dataset(path: Path, train: int = 40, heldout: int = 20, **more: Any) -> dict[str, Any]:
    return {"type": "dataset", "path": str(path), "train": train, "heldout": heldout, **more}


def curriculum(*tasks: dict[str, Any], benchmarks: Sequence[dict[str, Any]] = (), model: Any = None) -> Curriculum:
    return Curriculum.model_validate(
        {
            "model": model or {"model_name_or_path": "x"},
            "budget": {"kl": 1.0},
            "strategy": {"type": "fixed", "method": "sft"},
            "stages": [{"name": f"s{number}", "task": task} for number, task in enumerate(tasks)],
            "benchmarks": list(benchmarks),
        }
    )


def built(given: Curriculum) -> tuple[Task, ...]:
    """The tasks of a curriculum, none of whose training items is examined."""
    prepared = prepare_benchmarks(given.benchmarks, seed=given.seed, model=given.model)
    tasks = keep_apart(given, build_tasks(given), prepared)
    examined = examined_by(tasks, prepared)
    assert all(not questions(task.train) & examined for task in tasks)
    return tasks


def test_stages_on_one_file_have_one_cut(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", ROWS)
    exact = {"reward": {"type": "exact_match"}, "chat": False}
    one, other, fewer = built(curriculum(dataset(path), dataset(path, **exact), dataset(path, heldout=10)))
    assert [len(task.train) for task in (one, other, fewer)] == [40, 40, 40]
    assert questions(one.heldout) == questions(other.heldout)
    assert questions(fewer.heldout) < questions(one.heldout)
    # 60 rows, of which 20 are examined by the others: 50 cannot be had
    with pytest.raises(
        DataError, match=r"task 's1'.* 50 items were asked for to train on and 40 remain, .* examines 10"
    ):
        built(curriculum(dataset(path), dataset(path, train=50, heldout=10)))


@pytest.mark.parametrize("how", ["order", "format", "system", "template", "split", "answers"])
def test_equal_items_are_equal_wherever_they_stand(how: str, tmp_path: Path) -> None:
    first = dataset(write_rows(tmp_path / "a" / "train.jsonl", ROWS), train=20, heldout=10)
    (tmp_path / "b").mkdir()
    second = {
        "order": lambda: dataset(write_rows(tmp_path / "b" / "x.jsonl", ROWS[::-1])),
        "format": lambda: dataset(write_rows(tmp_path / "b" / "x.csv", ROWS[30:] + ROWS[:30])),
        "system": lambda: dataset(
            write_rows(tmp_path / "b" / "x.jsonl", [row | {"s": "Be brief."} for row in ROWS[7:]]),
            columns={"system": "s"},
        ),
        "template": lambda: dataset(
            write_rows(tmp_path / "b" / "x.jsonl", [{"n": n, "answer": "?"} for n in range(60)]),
            template=" word  {n}?\n",
        ),
        "split": lambda: dataset(write_rows(tmp_path / "b" / "train.jsonl", ROWS).parent),
        "answers": lambda: dataset(
            write_rows(tmp_path / "b" / "x.jsonl", [row | {"answer": "0"} for row in ROWS[::-1]])
        ),
    }
    write_rows(tmp_path / "b" / "test.jsonl", [row | {"question": f"new {n}?"} for n, row in enumerate(ROWS[:20])])
    given = second[how]() | {"train": 20, "heldout": {"split": "test", "limit": 10} if how == "split" else 10}
    drafts = build_tasks(curriculum(first, given))
    tasks = built(curriculum(first, given))
    assert [len(task.train) for task in tasks] == [20, 20]
    assert [task.heldout for task in tasks] == [task.heldout for task in drafts]
    assert any(task.left_out[EXAMINED] for task in tasks)


def test_a_row_is_one_item_however_it_is_asked(tmp_path: Path) -> None:
    path, copy = write_rows(tmp_path / "a.jsonl", ROWS), write_rows(tmp_path / "b.csv", ROWS[::-1])
    whole = {"chat": False}
    for other in (path, copy):
        first, second = built(
            curriculum(dataset(path, train=20, heldout=15), dataset(other, 20, 5, template="Q: {question}", **whole))
        )
        held = {item.columns["question"] for task in (first, second) for item in task.heldout}
        assert not held & {item.columns["question"] for task in (first, second) for item in task.train}


def test_tasks_without_a_leak_stay_as_they_are(tmp_path: Path) -> None:
    apart = [write_rows(tmp_path / f"{n}.jsonl", ROWS[n : n + 30]) for n in (0, 30)]
    given = curriculum(*(dataset(path, train=20, heldout=10) for path in apart))
    drafts = build_tasks(given)
    assert built(given) == drafts


def test_what_a_benchmark_asks_is_not_trained_on(tmp_path: Path) -> None:
    from tests.eval.lm_task_files import write_generation

    path = write_rows(tmp_path / "rows.jsonl", ROWS)
    held = {"type": "task", "name": "held", "task": dataset(path, train=1, heldout=20)}
    (task,) = built(curriculum(dataset(path, train=20, heldout=10), benchmarks=[held]))
    assert len(task.train) == 20
    folder = write_generation(tmp_path / "lm", "say", [{"question": f"word {n}?", "answer": "1"} for n in range(20)])
    lm = {"tasks": "say", "include_path": str(folder)}
    (task,) = built(curriculum(dataset(path, train=35, heldout=5), benchmarks=[lm]))
    assert not questions(task.train) & {f"word {n}?" for n in range(20)}
    with pytest.raises(DataError, match="38 remain"):
        built(
            curriculum(
                dataset(
                    path,
                    train=55,
                    heldout=2,
                ),
                benchmarks=[lm],
            )
        )


def test_a_row_that_a_benchmark_asks_in_other_words_is_not_trained_on(tmp_path: Path) -> None:
    from tests.eval.lm_task_files import write_generation

    rows = [{"question": f"word {n}?", "answer": "1"} for n in range(30)]
    folder = write_generation(tmp_path / "lm", "say", rows[:20], doc_to_text="Q: {{question}} A:")
    gaps = [row | {"note": None} for row in rows]
    asked = dataset(write_rows(tmp_path / "rows.jsonl", gaps), train=6, heldout=2, template="Please say {question}")
    (task,) = built(curriculum(asked, benchmarks=[{"tasks": "say", "include_path": str(folder)}]))
    trained_on = {int(item.columns["question"].strip("word ?")) for item in task.train}
    assert len(trained_on) == 6 and min(trained_on) >= 20


@pytest.mark.parametrize("limit", [6, None])
def test_a_row_that_a_benchmark_makes_another_document_of_is_not_trained_on(limit: int | None, tmp_path: Path) -> None:
    from tests.eval.test_fetched import folder_of

    ends = {"activity_label": "Rowing", "ctx_b": "they", "endings": ["row.", "stop.", "go.", "end."], "label": "1"}
    rows = [{"ctx_a": f"Crew {n} sits.", "ctx": f"Crew {n} sits. they", **ends} for n in range(24)]
    folder = folder_of(tmp_path, "Rowan/hellaswag", rows[:12], "validation")
    write_rows(tmp_path / "Rowan/hellaswag/train.jsonl", rows[12:])
    own = {"template": "Go on: {ctx}", "columns": {"answer": "label"}}
    stage = dataset(write_rows(tmp_path / "rows.jsonl", rows), train=6, heldout=2, **own)
    asked = {"tasks": "hellaswag", "data_path": str(folder), "limit": limit}  # it adds `query`, `choices` and `gold`
    (task,) = built(curriculum(stage, benchmarks=[asked]))
    assert len(task.train) == 6
    assert not {item.columns["ctx"] for item in task.train} & {row["ctx"] for row in rows[: limit or 12]}


@pytest.mark.parametrize("keeps", [True, False])
def test_rows_behind_documents(keeps: bool) -> None:
    from types import SimpleNamespace

    from datasets import Dataset

    from perdure.curriculum.worlds.cells import digest
    from perdure.eval.lm_eval.asked_task import rows_behind

    rows = Dataset.from_list([{"question": f"word {n}?"} for n in range(4)])
    config = SimpleNamespace(process_docs=len, test_split=None, validation_split="validation")
    task = SimpleNamespace(config=config, dataset={"validation": rows}, has_test_docs=lambda: False)
    documents = [{"question": f"word {n}?" if keeps else "a word?", "gold": 0} for n in (2, 3)]
    # two rows that the documents hold, or all four where they are not known
    assert rows_behind(task, documents) == {digest(rows[n]) for n in ((2, 3) if keeps else range(4))}
    config.process_docs = None
    assert rows_behind(task, documents) == set()


def small(*, seed: int, train: int, heldout: int) -> Task:
    """Draws from 60 questions."""
    from random import Random

    numbers = Random(seed).sample(range(60), train + heldout)
    items = [Item(f"number {n}", answer=str(n), demonstration=str(n)) for n in numbers]
    return Task("small", tuple(items[:train]), tuple(items[train:]))


def test_procedural_tasks_that_repeat_items_are_drawn_again() -> None:
    python = {"type": "python", "path": f"{__name__}:small", "train": 25, "heldout": 5}
    one, other, again = built(curriculum(python, python | {"args": {}, "heldout": 6}, python))
    assert [len(task.train) for task in (one, other, again)] == [25, 25, 25]
    assert again.heldout == one.heldout
    gym = {"type": "reasoning_gym", "dataset": "chain_sum", "train": 60, "heldout": 20}
    digits = gym | {"config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}}
    fewer = digits | {"config": digits["config"] | {"allow_negation": False}}  # type: ignore[operator]
    first, second = built(curriculum(digits, fewer))
    assert questions(first.heldout) != questions(second.heldout)
    assert (len(first.train), len(second.train)) == (60, 60)
    with pytest.raises(DataError, match=r"s1.*54 items were asked for to train on and 50 remain"):
        built(curriculum(python | {"train": 50, "heldout": 4}, python | {"train": 54, "heldout": 6}))


def test_images_are_compared_by_their_pixels(tmp_path: Path) -> None:
    import numpy as np

    from perdure.curriculum.worlds.vision.images.idx import write_idx
    from perdure.curriculum.worlds.vision.images.load import load_images

    shipped = load_images("shipped", "digits")
    # a copy in which half of what is shipped for the tests stands among the training images, and the other way round
    for kind, name in (("digits", "mnist"), ("clothes", "fashion-mnist")):
        found = load_images("shipped", kind)  # type: ignore[arg-type]
        train = np.concatenate([found.test_images[:500], found.train_images[:500]])
        labels = np.concatenate([found.test_labels[:500], found.train_labels[:500]]).astype(np.uint8)
        for part, images, known in (("train", train, labels), ("t10k", train[::-1], labels[::-1])):
            write_idx(tmp_path / name / f"{part}-images-idx3-ubyte.gz", images.reshape(-1, 28, 28))
            write_idx(tmp_path / name / f"{part}-labels-idx1-ubyte.gz", known)
    images = {"type": "images", "images": "digits", "rule": "parity", "writer": "one"}
    model = {"type": "mlp", "pretrain": {"images": 300}}
    mixed = images | {"data": str(tmp_path), "variant": "shifted", "heldout": 200}
    tasks = built(curriculum(images | {"heldout": 400}, mixed, model=model))
    known = {image.tobytes() for image in shipped.test_images}
    assert tasks[1].left_out[EXAMINED] > 0
    assert tasks[1].heldout[0].prompt.pixels not in known  # a variant, which is the same image nevertheless
    with pytest.raises(DataError, match=r"`train` \(another stage or a benchmark examines \d+ more"):
        built(curriculum(images, mixed | {"train": 700}, model=model))
    # of a folder whose test images are those of the pretraining none is examined that the base was pretrained on
    own = {"type": "mlp", "pretrain": {"images": 300}, "data": str(tmp_path)}
    built(curriculum(images | {"heldout": 400, "train": 300}, model=own))
    with pytest.raises(DataError, match="701 images were asked for and there are 700"):
        built(curriculum(images | {"heldout": 701}, model=own))


def test_the_question_of_a_prompt() -> None:
    turn = [{"role": "user", "content": "2 +\n 2?"}]
    assert question("e\u0301") == question("\u00e9")
    same = ["2 + 2?", " 2 + 2?\u00a0", turn, [{"role": "system", "content": "Be brief."}, *turn]]
    assert {question(prompt) for prompt in same} == {"2 + 2?"}
    talk = [*turn, {"role": "assistant", "content": "4"}, *turn]
    assert json.loads(question(talk)) == [["user", "2 + 2?"], ["assistant", "4"], ["user", "2 + 2?"]]
