"""The shipped curriculum `drawers`, made short."""

from pathlib import Path

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import start
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.worlds.control.known import known_rows

pytest.importorskip("metaworld", reason="the extra `robots` is not installed")
pytestmark = [pytest.mark.robots, pytest.mark.filterwarnings("ignore::UserWarning")]

SHORT = [
    *(f"model.pretrain.tasks.{number}.episodes=2" for number in range(5)),
    *(f"benchmarks.{number}.task.heldout=2" for number in range(4)),
    "model.pretrain.tasks.4.task.demonstrations.noise=0",
    "model.pretrain.max_steps=5",
    "stages.pick_place.task.heldout=4",
    "train.rl.max_steps=2",
    "train.rl.num_iterations=2",
    "train.rl.num_generations=2",
    "train.sft.max_steps=2",
]


@pytest.mark.parametrize("method", ["rl", "sft"])
def test_drawers_runs(method: str, tmp_path: Path) -> None:
    curriculum = read_curriculum("drawers", [*SHORT, f"stages.pick_place.method={method}"]).curriculum
    life = start(curriculum, tmp_path / "run", NullView())
    (task,) = life.tasks
    trained, examined = ({item.row for item in items} for items in (task.train, task.heldout))
    assert len(trained) == 16 and len(examined) == 4
    assert not trained & examined
    config = curriculum.stages[0].task
    assert not examined & known_rows(curriculum.model, config, task.heldout[0].prompt.environment)  # type: ignore
    run_curriculum(life)
    record, _ = read_record(RunFolder(tmp_path / "run"))
    assert record.status == "finished"
    assert list(record.rows[-1].scores) == ["pick_place", "drawer_open", "drawer_close", "button_press", "reach"]
    assert (record.rows[-1].readings[-1].kl.value > 0) == (method == "sft")  # no episode succeeds
