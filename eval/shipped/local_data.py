"""Loads the .jsonl file beside a task YAML, wherever the package is installed."""

from pathlib import Path
from typing import Any

from datasets import Dataset

from perdure.budget.json_lines import json_lines, plain


def load(file: str, **_: Any) -> dict[str, Dataset]:
    """The file's rows as the test split; lm-eval passes the task's metadata too."""
    data = (Path(__file__).parent / file).read_bytes()
    return {"test": Dataset.from_list([plain(row) for _, row in json_lines(data, file)])}
