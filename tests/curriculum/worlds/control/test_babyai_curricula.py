"""The shipped curricula of BabyAI's levels."""

import pytest

from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum, TaskBenchmark
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.tasks import Gymnasium


def levels(curriculum: Curriculum) -> list[str]:
    return [stage.task.id for stage in curriculum.stages if isinstance(stage.task, Gymnasium)]


@pytest.mark.parametrize("name", ["babyai", "babyai-stream"])
def test_what_is_kept_is_what_the_base_learned(name: str) -> None:
    curriculum = read_curriculum(name).curriculum
    assert isinstance(curriculum.model, ControlModel) and curriculum.model.pretrain is not None
    known = {known.task.id for known in curriculum.model.pretrain.tasks}
    tasks = [one.task for one in curriculum.benchmarks if isinstance(one, TaskBenchmark)]
    kept = {task.id for task in tasks if isinstance(task, Gymnasium)}
    assert kept == {"BabyAI-OpenDoor-v0", "BabyAI-GoToRedBallGrey-v0"}
    assert known - kept == ({"BabyAI-GoToObj-v0"} if name == "babyai" else set())
    assert curriculum.evaluation.temperature == 1


def test_the_documented_settings_are_settings() -> None:
    overrides = ["strategy.method=sft", "train.sft.learning_rate=1.0e-4"]
    read_curriculum("babyai", overrides)
    curriculum = read_curriculum("babyai-stream", ["stages.pick_up.method=sft"]).curriculum
    assert levels(curriculum) == [f"BabyAI-{one}-v0" for one in ("GoToObj", "PickupLoc", "UnlockLocal", "GoToDoor")]
