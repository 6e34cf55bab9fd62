"""The job of an update: what it trains on."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.job import update_job
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task, is_among
from perdure.eval.sampled_rewards import earlier_items, set_aside

STAGES = [{"name": name, "task": {"type": "python", "path": "m:f"}} for name in ("one", "two", "again")]


def test_what_a_stage_trains_on_is_no_measure_of_what_earlier_tasks_lose() -> None:
    items = tuple(Item(f"question {n}", demonstration="a") for n in range(16))
    first, other = Task("one", items[:4], ()), Task("two", tuple(Item(f"other {n}") for n in range(4)), ())
    # the first task comes back, with four times the items: the last eight are set aside, and all four trained on
    trained, _ = set_aside(Task("again", items, ()), 9)
    assert [[item.prompt for item in one] for one in earlier_items([first, other], trained, 9)] == [
        [],
        ["other 2", "other 3"],
    ]


@pytest.mark.parametrize("same_steps", [True, False])
def test_what_is_measured_is_not_replayed(tmp_path: Path, same_steps: bool) -> None:
    about = {"model": {"model_name_or_path": "builtin:tiny"}, "budget": {"kl": 1.0}, "stages": STAGES}
    curriculum = Curriculum.model_validate({**about, "strategy": {"type": "fixed", "method": "sft+replay"}})
    items = tuple(Item(f"question {n}", demonstration="a") for n in range(8))
    others = tuple(Item(f"other {n}", demonstration="a") for n in range(4))
    # the stream comes back to the first task
    tasks = [Task("one", items, ()), Task("two", others, ()), Task("again", items[::-1], ())]
    _, aside = set_aside(tasks[2], 3)
    more: dict[str, Any] = {"left_out": 3, "same_steps": same_steps}
    more |= {"seed": 0, "folder": tmp_path, "watch": lambda progress: False, "controller": None}
    job = update_job(curriculum, tasks, object(), 3, curriculum.method("sft+replay"), **more)  # type: ignore[arg-type]
    assert [item.prompt for item in aside] == ["question 2", "question 1", "question 0"]
    # three in all of two earlier tasks: the last one of each
    # that is not trained on now
    measured = earlier_items(tasks[:2], job.task, 3)
    assert [[item.prompt for item in one] for one in measured] == [["question 2"], ["other 3"]]
    assert [task.train for task in job.earlier] == [items[3:], others[:3]]
    assert is_among(items[2], job.aside) and not is_among(items[3], job.aside)
    assert (job.settings.objective.max_steps is None) != same_steps
    whole = update_job(curriculum, tasks, object(), 3, curriculum.method("sft"), **more | {"left_out": 0})  # type: ignore[arg-type]
    assert whole.earlier == tuple(tasks[:2])
