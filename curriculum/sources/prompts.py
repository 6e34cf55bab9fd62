"""The general prompts of `budget.prompts: generic`: text or chat messages from a JSON-lines file."""

import json
from pathlib import Path
from typing import Any

from perdure.budget.errors import DataError


def load_prompts(path: Path, count: int) -> list[Any]:
    """The `prompt` of the first `count` lines.

    Raises:
        DataError: no file, a line that is not JSON, or one without `prompt`; fewer than two prompts.
    """
    if not path.is_file():
        raise DataError(f"budget.generic: there is no file {path}")
    prompts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[:count], 1):
        try:
            prompts.append(json.loads(line)["prompt"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: every line must be a JSON object with `prompt`") from error
    if len(prompts) < 2:
        raise DataError(f"budget.generic: {path} has {len(prompts)} prompts; at least 2 are needed")
    return prompts
