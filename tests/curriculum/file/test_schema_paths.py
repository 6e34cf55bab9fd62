"""Where a key belongs: any unknown key, anywhere, is found at its place."""

import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import read_curriculum
from tests.curriculum.file.written import Write

FULL: dict[str, Any] = {
    "model": {"model_name_or_path": "org/name", "lora": {"r": 2}},
    "budget": {"kl": 0.5, "enforce": ["penalty", "recover"], "generic": "builtin:skills", "penalty": {"rate": 0.1}},
    "strategy": {"type": "rule", "k": 2},
    "train": {"trl": {"logging_steps": 1}, "sft": {"trl": {}}, "rl": {"trl": {"top_p": 0.5}}, "chord": {"phi": True}}
    | {"ewc": {"fisher_items": 3}, "gate": {"trl": {"top_p": 0.5}}, "sdft": {"teacher_decay": 1}},
    "stages": [
        {"name": "a", "task": {"type": "reasoning_gym", "dataset": "chain_sum"}, "train": {"rl": {"beta": 0.1}}},
        {"name": "b", "task": {"type": "dataset", "path": "org/data", "reward": {"type": "regex", "pattern": "x"}}},
        {"name": "c", "task": {"type": "dataset", "path": "org/data", "columns": {"prompt": "x"}}, "method": "sft"},
        {
            "name": "d",
            "task": {"type": "python", "path": "perdure.curriculum.skills:odd_number"},
            "train": {"chord": {"trl": {"top_k": 3}}},
        },
    ],
    "benchmarks": [
        {"tasks": "x"},
        {"type": "lm_eval", "tasks": "y", "limit": 3},
        {"type": "task", "name": "z", "task": {"type": "reasoning_gym", "dataset": "chain_sum"}},
    ],
    "evaluation": {"batch_size": 2},
}


def maps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from maps(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from maps(inner, (*path, index))


def inserted(value: Any, path: tuple[Any, ...], key: str, position: int) -> Any:
    """A copy with one key more in the map at `path`."""
    if not path:
        items = list(value.items())
        return dict([*items[:position], (key, None), *items[position:]])
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = inserted(value[path[0]], path[1:], key, position)
    return copy


def test_the_full_curriculum_is_good(write: Write) -> None:
    assert len(read_curriculum(write(json.dumps(FULL))).curriculum.stages) == 4


WORDS = st.text(string.ascii_letters + string.digits + "_- .:#éß<'\"[{", max_size=12) | st.sampled_from(
    [
        "typ",
        "learning_rat",
        "max_length",
        "top_p",
        "kl",
        "stages",
        "reasoning_gym",
        "dataset",
        "output_dir",
        "rl",
        "name",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(maps(FULL))), WORDS, st.integers(0, 3), st.sampled_from([None, 1]))
def test_any_unknown_key_anywhere_is_refused_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[Any, ...], key: str, position: int, indent: int | None
) -> None:
    is_trl = bool(path) and path[-1] == "trl"
    known = ("top_p", "logging_steps", "top_k") if is_trl else schema_paths.keys_of(schema_paths.type_at(path, FULL))
    if path[-1:] == ("columns",):
        known = ("prompt", "completion", "messages", "question", "answer", "choices", "system")
    if key in known or (is_trl and key == "max_length"):
        return
    text = json.dumps(inserted(FULL, path, key, position), indent=indent, ensure_ascii=False)
    file = tmp_path_factory.mktemp("curriculum") / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file)
    assert [fault.path for fault in raised.value.faults] == [(*path, key)], str(raised.value)
    fault: Fault = raised.value.faults[0]
    written = text.splitlines()[(fault.place.line or 0) - 1][(fault.place.column or 0) - 1 :]
    assert written.startswith(json.dumps(key, ensure_ascii=False) + ":")
