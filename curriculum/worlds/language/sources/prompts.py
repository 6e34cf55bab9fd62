"""General prompts, `budget.generic`: text or chat messages from a JSON-lines file, or those shipped with perdure."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from perdure.budget.errors import DataError
from perdure.budget.json_lines import json_lines
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.worlds.language.sources.chat import read_prompt

BUILTIN_PREFIX = "builtin:"
MAX_PROMPTS = 2000
"""The most prompts of the skills: one of them has no more."""


def load_prompts(path: Path, count: int) -> list[Any]:
    """The `prompt` of the first `count` lines; of `builtin:NAME` the first `count` that are made.

    Raises:
        DataError: no file, a line that is not JSON, or one whose `prompt` is no text and no chat messages; fewer than
            two prompts; nothing of that name is shipped.
    """
    if str(path).startswith(BUILTIN_PREFIX):
        return _shipped(str(path), count)
    if not path.is_file():
        raise DataError(f"budget.generic: there is no file {path}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"budget.generic: {path} cannot be read: {error.strerror}") from error
    lines = islice(json_lines(data, path), count)
    prompts = [_prompt(row, f"{path}:{number}") for number, row in lines]
    if len(prompts) < 2:
        raise DataError(f"budget.generic: {path} has {len(prompts)} prompts; at least 2 are needed")
    return prompts


def _prompt(row: dict[str, Any], place: str) -> Any:
    if "prompt" not in row:
        raise DataError(f"{place}: every line must be a JSON object with `prompt`{did_you_mean('prompt', row)}")
    prompt = read_prompt(row["prompt"], f"{place}: `prompt`")
    more = [key for one in prompt if not isinstance(prompt, str) for key in one if key not in ("role", "content")]
    if more:
        raise DataError(f"{place}: a message has {more[0]!r}; a general prompt is `role` and `content` alone")
    return prompt


def _shipped(name: str, count: int) -> list[Any]:
    if name not in SHIPPED_PROMPTS:
        raise DataError(f"budget.generic: there is no {name!r}; shipped with perdure: {', '.join(SHIPPED_PROMPTS)}")
    return SHIPPED_PROMPTS[name](count)


def skill_prompts(count: int) -> list[Any]:
    """Requests for the skills that the built-in model was pretrained on, one skill after another, as chat messages.

    Always the same, and none that pretraining held out, since benchmarks ask those.

    Raises:
        DataError: there are not so many.
    """
    from perdure.curriculum.worlds.language.skills.skills import SKILLS, examples

    if count > MAX_PROMPTS:
        raise DataError(
            f"budget.generic: builtin:skills has {MAX_PROMPTS} prompts, and {count} are needed; lower num_prompts"
        )
    each = -(-count // len(SKILLS))
    made = [examples(skill, Random(name), each, held_out=False) for name, skill in SKILLS.items()]
    items = (item for row in zip(*made, strict=True) for item in row)
    return [[{"role": "user", "content": item.prompt}] for item in islice(items, count)]


SHIPPED_PROMPTS: dict[str, Callable[[int], list[Any]]] = {"builtin:skills": skill_prompts}
"""The functions that make them, by name."""
