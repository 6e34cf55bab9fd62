"""The task files of docs/local-benchmarks.md ask what lm-eval's own tasks ask."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from perdure.curriculum.evaluation import Benchmark
from perdure.eval.lm_eval.tasks import TaskLibrary

DOC = Path(__file__).parents[2] / "docs" / "local-benchmarks.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documented task files with two made-up items each."""
    path = tmp_path_factory.mktemp("benchmarks")
    for block in re.findall(r"```yaml\n(task: (\w+)\n.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL):
        (path / f"{block[1]}.yaml").write_text(block[0])
    write(path / "hellaswag.jsonl", [joined(row) for row in HELLASWAG])
    write(path / "truthfulqa.jsonl", TRUTHFULQA)
    return path


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


HELLASWAG = [
    {
        "activity_label": "Rowing",
        "ctx_a": "A crew sits in a boat. The cox shouts.",
        "ctx_b": "they",
        "endings": ["row away.", "it's a bike [substeps] they say.", 'call "stop".', "go  home."],
        "label": "2",
    },
    {
        "activity_label": "Baking",
        "ctx_a": "How to bake [title] Heat the oven. [step] Then wait.",
        "ctx_b": "",
        "endings": ["Mix.", "Stir. [title] Eat.", "Cool.", "Sleep."],
        "label": "0",
    },
]
TRUTHFULQA = [
    {"question": "Is the moon cheese?", "choices": ["It's rock.", 'Yes, "blue" cheese.'], "expected_index": 0},
    {"question": "Can pigs fly?", "choices": ["No.", "Yes.", "Some."], "expected_index": 0},
]


def joined(row: dict[str, Any]) -> dict[str, Any]:
    """Both halves of the context in one text."""
    context = f"{row['ctx_a']} {row['ctx_b']}".strip()
    return {**row, "ctx": context, "expected_index": int(row["label"])}


def test_hellaswag_is_asked_as_lm_eval_asks_it(folder: Path) -> None:
    from datasets import Dataset
    from lm_eval.tasks.hellaswag.utils import process_docs

    [task] = TaskLibrary(folder).load(Benchmark(tasks="hellaswag_local", include_path="."))
    theirs = process_docs(Dataset.from_list(HELLASWAG))
    for ours, doc in zip(task.validation_docs(), theirs, strict=True):
        assert task.doc_to_text(ours) == doc["query"].strip()
        assert task.doc_to_choice(ours) == doc["choices"]
        assert task.doc_to_target(ours) == doc["gold"]


def test_truthfulqa_is_asked_as_lm_eval_asks_it(folder: Path) -> None:
    import lm_eval.tasks
    from jinja2 import Template
    from lm_eval.tasks._yaml_loader import load_yaml

    own = load_yaml(Path(lm_eval.tasks.__path__[0]) / "truthfulqa" / "truthfulqa_mc1.yaml", resolve_func=False)
    [task] = TaskLibrary(folder).load(Benchmark(tasks="truthfulqa_local", include_path="."))
    for ours, row in zip(task.validation_docs(), TRUTHFULQA, strict=True):
        assert task.doc_to_text(ours) == Template(own["doc_to_text"]).render(question=row["question"])
        assert task.doc_to_choice(ours) == row["choices"]
        assert task.doc_to_target(ours) == 0
