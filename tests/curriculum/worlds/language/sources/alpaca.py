"""Files in the layouts of ToolAlpaca, made up here."""

import json
from pathlib import Path
from typing import Any

WEATHER = {
    "forecast": 'The weather of a day.\nParameters: {"city": "Required. string. The city.", "days": "integer. How '
    'many.", "parts": "Array[string]. Which."}\nOutput: Fine.\n - Format: application/json\n - Structure: #Sky',
    "places": "All places.\nParameters: {}\nOutput: A list.",
    "components": "#Sky: Object{cloud}",
}


def step(name: str, arguments: str, observation: str = "Status Code: 200. Response: ok") -> Any:
    return [[name, arguments, f"I call.\nAction: {name}\nAction Input: {arguments}"], observation]


def instance(number: int) -> dict[str, Any]:
    """A request for the places and then for the weather of one."""
    steps = [step("places", "{}", f"p{number}"), step("forecast", json.dumps({"city": f"c{number}", "days": 2}))]
    return {
        "input": f"Weather of c{number}?\nHint: ask",
        "output": "Sun.",
        "Final Thought": "so",
        "intermediate_steps": steps,
    }


def api(*instances: Any, **more: Any) -> dict[str, Any]:
    return {"Name": "weather", "Function_Description": WEATHER, "Instances": list(instances), **more}


def training_file(path: Path, count: int = 12, *others: Any) -> Path:
    path.write_text(json.dumps([api(*map(instance, range(count)), *others)]))
    return path


def exam_file(path: Path, *numbers: int, **more: Any) -> Path:
    """Requests of the evaluation files' layout; the days are for nobody to know."""
    golds = [
        [
            {"Action": "places", "Action_Input": "{}"},
            {"Action": "forecast", "Action_Input": f'{{"city": "c{n}", "days": ${{d}}}}'},
        ]
        for n in numbers
    ]
    asked = [f"Weather of c{n}?" for n in numbers]
    path.write_text(json.dumps([api(**{"Instances": None, "Instructions": asked, "Golden_Answers": golds, **more})]))
    return path
