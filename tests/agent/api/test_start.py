"""`perdure.run`: from a dict to a finished run, gone on with, and its policies loaded."""

from pathlib import Path

import pytest

import perdure
from perdure.agent.api.read import read_source
from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from tests.control_runs import base, point

SMALL = {
    "model": base(
        pretrain={"max_steps": 5, "per_device_train_batch_size": 4, "tasks": [{"task": point(), "episodes": 1}]}
    ),
    "budget": {"kl": 5.0, "enforce": "observe", "num_prompts": 4},
    "strategy": {"type": "fixed", "method": "sft"},
    "train": {"max_steps": 2},
    "stages": [{"name": "left", "task": point()}],
}


def test_a_run_from_a_dict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = perdure.run(SMALL, output_dir=tmp_path / "r", overrides={"train.max_steps": 3})
    assert run.status == "finished"
    assert run.readings().step.max() == 3, "the override counts"
    assert list(run.steps().step) == [1, 2, 3] and set(run.steps().stage_name) == {"left"}
    out = capsys.readouterr().out
    assert "stage 1 of 1, left: sft\n" in out and "\nfinished in " in out

    with pytest.raises(RunError, match=r"is a run of another curriculum:\n  curriculum.train.*was 3, is 2"):
        perdure.run(SMALL, output_dir=tmp_path / "r", resume=True)
    with pytest.raises(RunError, match="exists; choose another"):
        perdure.run(SMALL, output_dir=tmp_path / "r")
    again = perdure.run(SMALL, output_dir=tmp_path / "r", overrides={"train.max_steps": 3}, resume=True)
    assert again == run

    (stage,) = (tmp_path / "r/stages").iterdir()
    assert run.policy().fingerprint() == run.policy(1).fingerprint() != run.policy(0).fingerprint()
    with pytest.raises(ConfigError, match="stage 2: 1 to 1 are done"):
        run.policy(2)
    weights = next(stage.rglob("*.safetensors"))
    *before, last = weights.read_bytes()
    weights.write_bytes(bytes([*before, last ^ 1]))
    with pytest.raises(RunError, match="run it and all later ones again with"):
        run.policy(1)


@pytest.mark.parametrize("name", ["demo", "babyai", "parity-mnist", "smollm2"])
def test_a_curriculum_that_is_checked_already_is_the_same(name: str) -> None:
    known = read_curriculum(name).curriculum
    assert read_source(known, {})[0] == read_source(name, {})[0] == known


def test_faults_are_named_as_those_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(CurriculumError, match=r"the curriculum: budget.kl: .*got -1"):
        perdure.run(SMALL | {"budget": {"kl": -1}})
    with pytest.raises(ValueError, match=r"overrides\['trian.max_steps'\]: trian: unknown path; did you mean 'train'"):
        perdure.run(SMALL, overrides={"trian.max_steps": 3})
    with pytest.raises(ConfigError, match=r"set.* give maps, lists, texts and numbers"):
        perdure.run(SMALL | {"seed": {1}})
    with pytest.raises(ConfigError, match="say which run by output_dir"):
        perdure.run(SMALL, resume=True)
    with pytest.raises(CurriculumError, match="no shipped curriculum has this name"):
        perdure.run("demoo")
    with pytest.raises(CurriculumError, match="the curriculum: must be a map of keys"):
        read_source([], {})  # type: ignore[arg-type]


def test_own_functions_are_named_by_their_module(tmp_path: Path) -> None:
    from tests.agent.worlds.language.toy import toy

    task = {"type": "python", "path": toy}
    stages = [{"name": "a", "task": task}]
    found, name = read_source(SMALL | {"model": {"model_name_or_path": "builtin:tiny"}, "stages": stages}, {})
    assert (found.stages[0].task.path, name) == ("tests.agent.worlds.language.toy:toy", "run")  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="write it into a file"):
        read_source({"stages": [{"task": {"path": lambda: None}}]}, {})
