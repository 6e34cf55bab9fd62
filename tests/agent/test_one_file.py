"""Weights that are the same are one file on the disk, and one of them is enough to go on from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from perdure.agent.loop import run_curriculum
from perdure.agent.run.event import Event
from perdure.agent.run.events import Scored
from perdure.agent.setup import resume, start
from perdure.agent.weights import HostCopy, holds, restore_weights, save_weights, trained, write_weights
from perdure.agent.worlds.contract import WeightsFile
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.stage_checkpoints import fill_weights
from perdure.budget.files import keep_once, sha256_of
from tests.agent.scalar_run import Killed, Onlooker, in_memory
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.control_runs import curriculum, point


class KilledWhenSaved(Onlooker):
    """Kills the run when its first stage is saved."""

    def event(self, event: Event) -> None:
        if isinstance(event, Scored) and event.stage == 1:
            raise Killed


def test_policy_good_state_and_checkpoint_are_one_file(tmp_path: Path) -> None:
    train = {"max_steps": 4, "save_steps": 2, "learning_rate": 1e-4}
    config = curriculum([point()], budget={"kl": 5.0, "every": 2, "num_prompts": 4}, train=train)
    with pytest.raises(Killed):
        run_curriculum(start(config, tmp_path / "run", KilledWhenSaved()))
    stage = tmp_path / "run/stages/01-stage1.partial"
    same = ["policy/model.safetensors", "good.safetensors", "checkpoints/step-000004/weights.safetensors"]
    assert len({(stage / name).stat().st_ino for name in same}) == 1
    run_curriculum(resume(tmp_path / "run", Onlooker()))
    assert (tmp_path / "run/stages/01-stage1/policy/model.safetensors").stat().st_nlink == 1


@pytest.mark.parametrize("lora", [False, True])
def test_transformers_and_peft_write_the_bytes_of_a_checkpoint(tmp_path: Path, lora: bool) -> None:
    model, tokenizer = tiny_policy_parts()
    if lora:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    LanguagePolicy(model, tokenizer).save(tmp_path / "policy")
    (saved,) = (tmp_path / "policy").glob("*.safetensors")
    save_weights(trained(model), tmp_path / "weights.safetensors")
    assert saved.read_bytes() == (tmp_path / "weights.safetensors").read_bytes()


def numbers(*values: float, dtype: Any = torch.float32) -> dict[str, Any]:
    return {"w": torch.tensor(values, dtype=dtype)}


def test_a_file_holds_weights_only_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(numbers(0.0, float("nan")), path)
    assert holds(path, numbers(0.0, float("nan")))
    assert not holds(path, numbers(-0.0, float("nan")))
    assert not holds(path, numbers(0.0, float("nan"), dtype=torch.float64))
    assert not holds(path, numbers(0.0, float("nan")) | {"b": torch.zeros(1)})
    assert not holds(path, {})


def test_a_copy_comes_back_whatever_became_of_the_weights(tmp_path: Path) -> None:
    model, copy = nn.Linear(2, 2), HostCopy()
    for fill in (1.0, 2.0):
        nn.init.constant_(model.weight, fill)
        copy.take(trained(model))
    nn.init.constant_(model.weight, 3.0)
    copy.put_back(trained(model))
    assert model.weight.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    write_weights(copy.weights, tmp_path / "w")
    nn.init.constant_(model.weight, 4.0)
    restore_weights(trained(model), tmp_path / "w")
    assert holds(tmp_path / "w", trained(model))


def test_without_links_the_weights_are_written(tmp_path: Path) -> None:
    with in_memory() as elsewhere:
        if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("needs a second file system, on which no link of a file can be")
        other = elsewhere / "good.safetensors"
        save_weights(numbers(1.0), other)
        already = WeightsFile(other, sha256_of(other))
        assert fill_weights(tmp_path, numbers(1.0), already) == {}
        assert holds(tmp_path / "weights.safetensors", numbers(1.0))
        assert not keep_once(tmp_path / "weights.safetensors", [other])
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
