"""A folder with an adapter, named as the base model, is the adapter merged into its own base."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.world import LanguageWorld
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.runs import QUICK
from tests.agent.worlds.language.tiny_world import tiny_lora_policy, tiny_policy_parts

IDS_1T = torch.arange(5, 30)[None]


def config(folder: Path, **fields: Any) -> CausalModel:
    return CausalModel.model_validate({"model_name_or_path": str(folder), "device": "cpu"} | fields)


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS_1T).logits  # type: ignore[no-any-return]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter over the model in `base`, which has the tokenizer."""
    LanguagePolicy(*tiny_policy_parts()).save(tmp_path / "base")
    model = tiny_lora_policy().model
    model.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_it_is_the_adapter_over_its_base_and_every_weight_is_trained(adapter: Path) -> None:
    policy = load_policy(config(adapter), seed=0)
    torch.testing.assert_close(logits(policy.model), logits(tiny_lora_policy().model))
    assert not torch.equal(logits(policy.model), logits(tiny_policy_parts()[0]))
    assert not policy.is_adapter and trainable(policy.model).keys() == trainable(tiny_policy_parts()[0]).keys()
    policy.save(adapter.parent / "whole")
    assert load_policy(config(adapter.parent / "whole"), seed=0).fingerprint() == policy.fingerprint()


def test_a_fresh_adapter_on_top_names_the_first_as_its_base(adapter: Path) -> None:
    policy = load_policy(config(adapter, lora={"r": 4}), seed=0)
    torch.testing.assert_close(logits(policy.model), logits(tiny_lora_policy().model))  # a fresh one changes nothing
    with torch.no_grad():
        for name, tensor in trainable(policy.model).items():
            assert "lora_" in name
            tensor.add_(0.05)
    policy.save(adapter.parent / "stage")
    again = load_policy(config(adapter.parent / "stage"), seed=0)
    torch.testing.assert_close(logits(again.model), logits(policy.model))
    with policy.model.disable_adapter():
        torch.testing.assert_close(logits(policy.model), logits(tiny_lora_policy().model))


def test_a_run_says_what_its_base_is(adapter: Path) -> None:
    from perdure.curriculum.schema import Curriculum

    items = {"type": "python", "path": "tests.agent.worlds.language.toy:toy_task"}
    run = {
        "model": config(adapter).model_dump(),
        "budget": {"kl": 1.0},
        "strategy": {"type": "fixed", "method": "sft"},
        "stages": [{"name": "one", "task": items, "train": {"learning_rate": QUICK["learning_rate"]}}],
    }
    world = LanguageWorld(Curriculum.model_validate(run))
    assert world.resolved["base"] == f"{adapter} merged into {adapter.parent / 'base'}"


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "no base": ({"base_model_name_or_path": None}, "does not say of which base; write the folder of its base as"),
    "a base that is gone": (
        {"base_model_name_or_path": "/gone"},
        "over '/gone', which is no folder .*; write",
    ),
    "another rank": ({"r": 8}, "size mismatch"),
    "fewer targets": ({"target_modules": ["q_proj"]}, r"it has .*v_proj.* and 1 more. Save the adapter again"),
    "more targets": ({"target_modules": ["q_proj", "v_proj", "k_proj"]}, "it lacks .*k_proj"),
    "another task": ({"task_type": "SEQ_CLS"}, "for 'SEQ_CLS', not for a causal language model"),
    "an unknown kind": ({"peft_type": "WHAT"}, "cannot load the adapter"),
}


@pytest.mark.parametrize("case", SAID)
def test_an_adapter_that_is_not_what_it_says_is_refused(adapter: Path, case: str) -> None:
    fields, message = SAID[case]
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    with pytest.raises(ModelError, match=message):
        load_policy(config(adapter), seed=0)


def test_an_adapter_of_other_files_is_refused(adapter: Path) -> None:
    weights, file = adapter / "adapter_model.safetensors", adapter / "adapter_config.json"
    held, whole = load_file(weights), file.read_text()
    save_file({name: tensor for name, tensor in held.items() if "layers.1" not in name}, weights)
    with pytest.raises(ModelError, match=r"it lacks .*layers\.1"):
        load_policy(config(adapter), seed=0)
    save_file({name: tensor * float("nan") for name, tensor in held.items()}, weights)
    with pytest.raises(ModelError, match="NaN or infinite"):
        load_policy(config(adapter), seed=0)
    file.write_text(json.dumps(json.loads(whole) | {"base_model_name_or_path": str(adapter)}))
    with pytest.raises(ModelError, match="does one name itself as its base"):
        load_policy(config(adapter), seed=0)
    save_file(held, adapter / "model.safetensors")
    with pytest.raises(ModelError, match="an adapter and a whole model in one folder"):
        load_policy(config(adapter), seed=0)
    (adapter / "model.safetensors").unlink()
    weights.unlink()
    with pytest.raises(ModelError, match=r"without adapter_model\.safetensors"):
        load_policy(config(adapter), seed=0)
