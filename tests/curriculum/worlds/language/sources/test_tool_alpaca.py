"""ToolAlpaca's files: requests, tools and calls as chat templates take them, in both layouts."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Task
from tests.curriculum.methods import check_task
from tests.curriculum.worlds.language.sources.alpaca import WEATHER, api, exam_file, instance, step, training_file
from tests.curriculum.worlds.language.sources.building import build

PLACES = {"name": "places", "arguments": {}}


def alpaca(path: Path, **more: Any) -> Task:
    return build(**{"type": "tool_alpaca", "path": str(path), "train": 8, "heldout": 4, **more})


def forecast(number: int, days: Any = 2) -> dict[str, Any]:
    return {"name": "forecast", "arguments": {"city": f"c{number}", "days": days}}


def test_a_request_has_its_tools_and_all_its_calls_are_one_turn(tmp_path: Path) -> None:
    task = alpaca(training_file(tmp_path / "train.json"))
    assert (len(task.train), len(task.heldout)) == (8, 4)
    item = task.train[0]
    [user] = item.prompt
    number = int(user["content"].removeprefix("Weather of c").removesuffix("?"))  # the hint is not the user's
    assert json.loads(str(item.answer)) == [PLACES, forecast(number)]
    calls = [{"type": "function", "function": call} for call in (PLACES, forecast(number))]
    assert (item.demonstration, item.turn) == ("", {"tool_calls": calls})
    first, last = (tool["function"] for tool in user["tools"])
    assert first == {
        "name": "forecast",
        "description": "The weather of a day.\nOutput: Fine.\n - Format: application/json\n - Structure: #Sky",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city."},
                "days": {"type": "integer", "description": "How many."},
                "parts": {"type": "array", "items": {"type": "string"}, "description": "Which."},
            },
            "required": ["city"],
        },
    }
    assert last["description"] == "All places.\nOutput: A list.\n#Sky: Object{cloud}"
    assert task.reward is not None
    swapped = json.dumps([forecast(number), PLACES])
    assert task.reward([item] * 3, [str(item.answer), swapped, "no"]) == [1.0, 0.0, 0.0]
    partly = alpaca(tmp_path / "train.json", reward={"type": "tool_calls", "partial": True})
    assert partly.reward is not None
    assert partly.reward([item], [swapped]) == [0.5]
    again, fewer = (alpaca(tmp_path / "train.json", train=count).fingerprint() for count in (8, 7))
    assert task.fingerprint() == again != fewer


def test_each_call_is_an_item_that_sees_those_before_it(tmp_path: Path) -> None:
    task = alpaca(training_file(tmp_path / "train.json"), steps="each", train=99, heldout=6)
    later = next(item for item in (*task.train, *task.heldout) if len(item.prompt) == 3)
    user, called, told = later.prompt
    number = int(told["content"].removeprefix("p"))
    assert user["content"] == f"Weather of c{number}?"
    assert called == {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": PLACES}]}
    assert told == {"role": "tool", "content": f"p{number}"}
    assert json.loads(str(later.answer)) == [forecast(number)]
    # every request is on one side, with both of its calls
    asked = [{item.prompt[0]["content"] for item in part} for part in (task.train, task.heldout)]
    assert not asked[0] & asked[1]
    assert len(task.train) == 2 * (12 - len(asked[1]))


def test_held_out_requests_of_the_other_layout(tmp_path: Path) -> None:
    path = training_file(tmp_path / "train.json")
    exam = exam_file(tmp_path / "exam.json", 10, 11, 12)
    task = alpaca(path, train=50, heldout={"path": str(exam)})
    assert (len(task.train), len(task.heldout), task.left_out["repeated"]) == (10, 3, 2)
    item = task.heldout[0]
    assert item.demonstration is None  # a value that nobody knows is nothing to imitate
    number = int(item.prompt[0]["content"].removeprefix("Weather of c").removesuffix("?"))
    assert task.reward is not None
    assert task.reward([item] * 2, [json.dumps([PLACES, forecast(number, days)]) for days in (1, "two")]) == [1.0, 1.0]
    with pytest.raises(DataError, match="`steps: each` needs what the API said to each call"):
        alpaca(path, steps="each", heldout={"path": str(exam)})
    keyed = exam_file(tmp_path / "keyed.json", 10, 11, Authentication={"key": "k1"})
    assert (
        alpaca(path, heldout={"path": str(keyed)})
        .heldout[0]
        .prompt[0]["content"]
        .endswith("?\nAuthentication information: key=k1")
    )


def test_instances_without_usable_calls_are_left_out_and_counted(tmp_path: Path) -> None:
    bad = [
        "an error",
        {"input": "No steps?", "intermediate_steps": []},
        {"input": "Asks back?", "intermediate_steps": [step("getDetails", '{"Question": "Where?"}')]},
        {"input": "No JSON?", "intermediate_steps": [step("forecast", "city: Rome")]},
        {"input": "No map?", "intermediate_steps": [step("forecast", "[]")]},
        {"input": "No step?", "intermediate_steps": [["forecast"]]},
    ]
    task = alpaca(training_file(tmp_path / "train.json", 12, *bad))
    assert task.left_out["unusable"] == len(bad)
    assert len(task.train) + len(task.heldout) == 12


def test_instances_that_cannot_be_imitated_are_left_out_when_asked(tmp_path: Path) -> None:
    """Of 12 requests 4 have a day for nobody to know: 8 remain, 5 to train on and 3 held out."""
    path, exam = training_file(tmp_path / "train.json", 8), exam_file(tmp_path / "exam.json", 8, 9, 10, 11)
    (tmp_path / "both.json").write_text(json.dumps(json.loads(path.read_text()) + json.loads(exam.read_text())))
    task = alpaca(tmp_path / "both.json", train=99, heldout=3)
    assert (len(task.train), task.has_demonstrations, task.left_out["unusable"]) == (9, False, 0)
    with pytest.raises(ConfigError, match=r"and [1-4] have none: leave those out \(`unreadable: leave_out`"):
        check_task(task, "sft")
    kept = alpaca(tmp_path / "both.json", train=99, heldout=3, unreadable="leave_out")
    assert (len(kept.train), len(kept.heldout), kept.left_out["unusable"]) == (5, 3, 4)
    check_task(kept, "sft")
    # a held-out file is scored as it is: any value is right
    apart = alpaca(path, heldout={"path": str(exam)}, unreadable="leave_out")
    assert (len(apart.train), len(apart.heldout), apart.left_out["unusable"]) == (8, 4, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "q"},
            "element 1 of the list is no API of ToolAlpaca: it needs `Name` and",
        ),
        (api(Instances=None), "it needs `Instances`, or `Instructions` and as many `Golden_Answers`"),
        (api(Instances=None, Instructions=["a"], Golden_Answers=[]), "as many `Golden_Answers`"),
        (api(instance(1)), "has 1 different prompts; at least 3"),
    ],
)
def test_a_file_of_another_layout_is_refused(row: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    with pytest.raises(DataError, match=message):
        alpaca(tmp_path / "rows.json")


def test_parameters_that_cannot_be_read_stay_in_the_description(tmp_path: Path) -> None:
    text = "Odd.\nParameters: {city: name}\nOutput: x"
    row = api(*map(instance, range(6)), Function_Description={**WEATHER, "odd": text, "components": ""})
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    odd = alpaca(tmp_path / "rows.json").train[0].prompt[0]["tools"][-1]["function"]
    assert odd == {"name": "odd", "description": text, "parameters": {"type": "object", "properties": {}}}
