"""The JSON Schemas take every file that perdure ships and refuse what an editor can see to be wrong."""

from copy import deepcopy
from typing import Any

import pytest

from perdure.curriculum.file.document import parse
from perdure.curriculum.file.json_schema import curriculum_schema, sweep_schema
from perdure.curriculum.file.sample import sample_curriculum
from perdure.curriculum.file.shipped import shipped, shipped_sweeps
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.registry import worlds
from tests.curriculum.file.json_schemas import faults

GOOD = """\
model: {model_name_or_path: org/name}
budget: {kl: 0.5}
strategy: {type: fixed, method: sft + replay}
train: {learning_rate: 1e-4, sft: {max_length: 64}}
stages:
  - {name: a, task: {type: dataset, path: org/data}}
"""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return curriculum_schema()


def test_every_shipped_file_is_taken(schema: dict[str, Any]) -> None:
    for name, file in shipped().items():
        assert not faults(parse(file.read_text(encoding="utf-8"), name).data, schema, schema), name
    sweep = sweep_schema()
    for name, file in shipped_sweeps().items():
        assert not faults(parse(file.read_text(encoding="utf-8"), name).data, sweep, sweep), name
    for world in worlds():
        for minimal in (False, True):
            text = sample_curriculum(world, minimal=minimal)
            assert not faults(parse(text, "sample").data, schema, schema), world


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("budgets",), {}),
        (("train", "sft", "max_lenght"), 64),
        (("train", "learning_rate"), "fast"),
        (("train", "learning_rate"), 0),  # must be above 0
        (("budget", "kl"), -1),
        (("budget", "unit"), "tokens"),
        (("strategy", "method"), "sftt"),
        (("strategy", "method"), "sft+rl"),  # `rl` is no modifier
        (("stages",), []),
        (("stages", 0, "task", "type"), "data"),
        (("model", "threads"), 0),
    ],
)
def test_what_is_wrong_is_refused(schema: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    good = parse(GOOD, "good").data
    assert not faults(good, schema, schema)
    bad: Any = deepcopy(good)
    here = bad
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    assert faults(bad, schema, schema)


def test_a_key_has_the_description_of_the_schema_and_no_title(schema: dict[str, Any]) -> None:
    assert schema["$id"] == "urn:perdure:schema:curriculum" and sweep_schema()["$id"] == "urn:perdure:schema:sweep"
    for name, field in Curriculum.model_fields.items():
        assert schema["properties"][name]["description"] == field.description
        assert "title" not in schema["properties"][name]
