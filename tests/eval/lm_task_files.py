"""Writes small lm-eval tasks for the tests: a YAML and the data beside it."""

import json
from pathlib import Path
from typing import Any

WORDS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "koi", "lark")


def choice_rows(n: int = 12) -> list[dict[str, Any]]:
    """Questions with three choices."""
    return [
        {"question": f"which is {WORDS[i % 12]}?", "choices": [WORDS[(i + k) % 12] for k in range(3)], "answer": i % 3}
        for i in range(n)
    ]


def write_task(folder: Path, name: str, rows: list[dict[str, Any]] | None = None, **settings: Any) -> Path:
    """A multiple-choice task of the rows, its `data_files` relative to the YAML; `settings` overrule its YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows or choice_rows()))
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "metric_list": [
            {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
            {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True},
        ],
    } | settings
    (folder / f"{name}.yaml").write_text(json.dumps(task))  # JSON is YAML
    return folder


def write_generation(folder: Path, name: str, rows: list[dict[str, Any]], tokens: int = 6, **settings: Any) -> Path:
    """A task whose answer is written freely."""
    return write_task(
        folder,
        name,
        rows,
        output_type="generate_until",
        doc_to_choice=None,
        doc_to_target="{{answer}}",
        generation_kwargs={"until": ["\n"], "do_sample": False, "max_gen_toks": tokens},
        metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        **settings,
    )
