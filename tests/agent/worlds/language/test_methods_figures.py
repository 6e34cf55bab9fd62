"""The figures of a step are those that TRL logs of that very step, however often it logs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.trl.step_figures import LOGGED
from tests.agent.worlds.language.runs import Run, based, small
from tests.agent.worlds.language.toy import toy_task

NAMES = {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm", "reward": "reward"} | LOGGED
ANSWERS = {"reward", "reward_std", "mean_length"}


@pytest.mark.parametrize(
    ("name", "more", "trl", "lacking"),
    [
        ("sft", {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4}, {}, ANSWERS),
        ("rl", {}, {"num_iterations": 2}, set()),
        ("tilt", {}, {}, set()),
        ("sdft", {}, {}, {"entropy", "reward", "reward_std"}),
    ],
)
def test_figures_of_a_step_are_those_that_trl_logs(
    name: str, more: dict[str, Any], trl: dict[str, Any], lacking: set[str], tmp_path: Path
) -> None:
    task = toy_task(16) if "reward" not in lacking else replace(toy_task(16), reward=None)

    def seen(folder: str, logging_steps: int) -> Run:
        run = Run(based(tmp_path / "base"), tmp_path / folder, task)
        run.update(name, small(name, max_steps=4, trl={**trl, "logging_steps": logging_steps}, **more))
        return run

    run = seen("often", 1)
    assert run.seen == seen("seldom", 3).seen
    (state,) = (tmp_path / "often").glob("checkpoints/step-000004/trainer_state.json")
    logged = json.loads(state.read_text())["log_history"]  # the last step is logged behind its checkpoint
    assert [row["step"] for row in logged] == [1, 2, 3]
    for one, row in zip(run.seen, logged, strict=False):
        known = {key: figure for key, figure in one.figures.items() if figure is not None}
        assert known.keys() == NAMES.keys() - lacking
        # answers that are used again are not logged again
        assert {"loss", "learning_rate", "grad_norm"} <= {key for key in known if NAMES[key] in row}
        for key, figure in known.items():
            if NAMES[key] in row:
                assert figure == pytest.approx(row[NAMES[key]], rel=1e-5, abs=1e-6), (one.step, key)
    assert run.seen[0].mean_length is None or run.seen[0].mean_length > 1
