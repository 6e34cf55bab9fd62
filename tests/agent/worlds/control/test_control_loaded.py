"""A saved policy as the base: the same weights, and refused where it does not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.base_id import kl_settings
from perdure.budget.errors import PerdureError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.build import build_task
from tests.control_runs import base, curriculum, point


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "policy"
    ControlWorld(curriculum([point()])).policy.save(folder)
    return folder


def of(folder: Path, task: dict[str, Any] | None = None, **settings: Any) -> Curriculum:
    return curriculum([task or point()], model=base() | {"pretrain": None, "path": str(folder)} | settings)


def test_a_saved_policy_is_the_base(saved: Path) -> None:
    made, found = ControlWorld(curriculum([point()])), ControlWorld(of(saved))
    assert found.policy.fingerprint() == made.policy.fingerprint()
    starts = [item.prompt for item in _task(of(saved)).heldout]
    texts = [one.policy.respond(starts, max_completion_length=1, batch_size=1) for one in (made, found)]
    assert texts[0] == texts[1]
    assert found.base_id != made.base_id
    assert kl_settings(found.base_id) == kl_settings(made.base_id) == "bins 5, action_repeat 1"


def test_the_identity_of_a_loaded_base_is_that_of_its_weights(saved: Path, tmp_path: Path) -> None:
    assert ControlWorld(of(_changed(saved, tmp_path, lambda _: None))).base_id == ControlWorld(of(saved)).base_id
    other = _changed(saved, tmp_path / "other", lambda one: one["heads.linear.bias"].add_(1))
    assert ControlWorld(of(other)).base_id != ControlWorld(of(saved)).base_id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.pop("heads.linear.bias"), "heads.linear.bias is missing"),
        (lambda one: one.update(more=torch.zeros(1)), "more is not of this network"),
        (lambda one: one.update({"heads.linear.bias": torch.zeros(3)}), r"bias is float32 \(3,\), not float32 \(10,\)"),
        (lambda one: one["heads.linear.bias"].fill_(float("nan")), "heads.linear.bias has a number that is not finite"),
    ],
)
def test_weights_that_do_not_fit(saved: Path, tmp_path: Path, change: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(PerdureError, match=said):
        ControlWorld(of(_changed(saved, tmp_path, change)))


def test_a_damaged_file_and_another_model(saved: Path, tmp_path: Path) -> None:
    broken = _changed(saved, tmp_path, lambda _: None)
    (broken / "model.safetensors").write_bytes(b"\x08" + b"\0" * 20)
    with pytest.raises(PerdureError, match="is damaged"):
        ControlWorld(of(broken))
    (broken / "config.json").write_text("{}")
    for folder, settings, said in (
        (tmp_path / "none", {}, r"has no config.json and no model.safetensors; name the folder of a policy"),
        (broken, {}, "does not describe a policy of the control world"),
        (saved, {"bins": 7}, "model.bins is 7, and the policy in .* has 5; write that"),
        (
            saved,
            {"policy": {"type": "mlp", "hidden_sizes": [9]}},
            "model.policy is .*9.*, and the policy in .* has .*8",
        ),
    ):
        with pytest.raises(PerdureError, match=said):
            _task(of(folder, **settings))


def test_tasks_are_compared_with_the_saved_interface(saved: Path) -> None:
    for task, said in (
        (point(id="tests.faulty_world:Wide-v0"), r"shows 3 numbers and no image, and model.path \(.*\) 2 numbers"),
        (point(action_repeat=2), "holds an action for 2 steps"),
    ):
        with pytest.raises(PerdureError, match=said):
            _task(of(saved, task))


def _task(made: Curriculum) -> Any:
    return build_task(made.stages[0].task, name="a", seed=0, model=made.model)


def _changed(saved: Path, folder: Path, change: Callable[[Any], Any]) -> Path:
    folder.mkdir(exist_ok=True)
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(json.loads((saved / "config.json").read_text())))
    return folder
