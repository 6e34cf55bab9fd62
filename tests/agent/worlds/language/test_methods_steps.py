"""The steps of a stage: counted in advance, and as TRL makes them."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.language.trl.steps import count_steps
from tests.agent.worlds.language.jobs import job_of, method_of, settings_of, update
from tests.agent.worlds.language.tiny_world import tiny_policy
from tests.agent.worlds.language.toy import toy_task

SFT: dict[str, Any] = {"per_device_train_batch_size": 8}
RL: dict[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 3}


@pytest.mark.parametrize(
    ("method", "values", "items", "steps"),
    [
        # 20 items make batches of 8, 8 and 4
        ("sft", SFT, 20, 3),
        ("sft", SFT | {"num_train_epochs": 2.5}, 20, 8),
        # two batches a step: the third is a step of its own
        ("sft", SFT | {"gradient_accumulation_steps": 2}, 20, 2),
        ("low_lr_sft", SFT | {"max_steps": 5}, 20, 5),
        # 8 completions of 4 a prompt: two prompts a step, and 21 prompts make ten whole rounds
        ("rl", RL, 21, 10),
        # 16 completions a round for two steps
        ("rl", RL | {"trl": {"steps_per_generation": 2}}, 21, 10),
        ("rl", RL | {"gradient_accumulation_steps": 2}, 21, 5),
        ("rl", RL | {"trl": {"num_iterations": 2}}, 8, 8),
    ],
)
def test_what_is_counted_is_what_trl_makes(
    method: str, values: dict[str, Any], items: int, steps: int, tmp_path: Path
) -> None:
    given = settings_of(method, **values)
    assert count_steps(method_of(method), given.objective, items) == steps
    reported: list[int] = []

    def watch(progress: Progress) -> bool:
        reported.append(progress.max_steps)
        return True

    task = toy_task(items * 2)
    task = type(task)(task.name, (task.train * 2)[:items], task.heldout, task.reward)
    update(job_of(method, tiny_policy(), task, tmp_path, given, watch=watch))
    assert reported == [steps]
