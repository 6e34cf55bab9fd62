"""A base in 4 or 8 bits under an adapter, 8-bit optimisers, and what is refused of them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from perdure.agent.export.contract import CardBase, Order
from perdure.agent.weights import digest
from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.export import _usage_of_adapter, _with_adapter
from perdure.agent.worlds.language.loading import load_policy, refuse_offloaded
from perdure.agent.worlds.language.plugin import check
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.precision import Precision, precision_of
from perdure.agent.worlds.language.quantization import all_frozen
from perdure.agent.worlds.language.vllm.weights import served_weights
from perdure.agent.worlds.stage_checkpoints import from_plain, to_plain
from perdure.budget.errors import ConfigError, ModelError, RunError
from perdure.curriculum.worlds.language.machine import module_of
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.jobs import method_of, settings_of
from tests.agent.worlds.language.runs import Killed, Run, small
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.agent.worlds.language.toy import toy_task

WHY = "needs the extra `quantization` (bitsandbytes)"
MISSING = find_spec("bitsandbytes") is None


def model_of(**fields: Any) -> CausalModel:
    return CausalModel.model_validate({"model_name_or_path": "builtin:tiny", "device": "cpu"} | fields)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model whose widths are multiples of bitsandbytes' blocks of 64."""
    model, tokenizer = tiny_policy_parts()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def quantized(kind: str, folder: Path) -> LanguagePolicy:
    return load_policy(model_of(quantization=kind, lora={"r": 4}, model_name_or_path=str(folder)), seed=0)


def test_quantized_weights_need_an_adapter_and_a_device_map_no_device() -> None:
    with pytest.raises(ValidationError, match="quantized weights cannot be trained: train an adapter"):
        model_of(quantization="4bit")
    with pytest.raises(ValidationError, match="`device_map: auto` chooses the devices; leave `device` out"):
        model_of(device_map="auto")


def test_quantization_is_part_of_the_settings_of_kl() -> None:
    config = model_of(quantization="4bit", lora={})
    assert precision_of(config, on_gpu=False, has_bfloat16=False).settings == "4bit and float32 weights"
    on_gpu = precision_of(config, on_gpu=True, has_bfloat16=True)
    assert on_gpu == Precision(torch.bfloat16, torch.bfloat16, "4bit")
    assert on_gpu.settings == "4bit and bfloat16 weights, bfloat16 autocast"


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_a_device_map_needs_a_gpu() -> None:
    with pytest.raises(ModelError, match=r"model\.device_map: `auto` spreads a model over GPUs, and torch sees none"):
        load_policy(model_of(device="auto", device_map="auto"), seed=0)


def test_layers_that_are_left_to_the_cpu_are_refused() -> None:
    class Spread:
        hf_device_map = {"embed": 0, "layers.0": 1, "layers.1": "cpu", "head": "disk"}

    refuse_offloaded(model_of(), Spread())
    with pytest.raises(ModelError, match="the GPUs have no room for 2 of 4 parts of builtin:tiny"):
        refuse_offloaded(model_of(device="auto", device_map="auto"), Spread())


def test_an_attention_is_passed_on() -> None:
    policy = load_policy(model_of(attn_implementation="eager"), seed=0)
    assert policy.model.config._attn_implementation == "eager"


@pytest.mark.skipif(not MISSING, reason="is about machines without bitsandbytes")
def test_missing_bitsandbytes_is_named_before_anything_is_loaded() -> None:
    with pytest.raises(ModelError, match=r"model\.quantization: 8bit needs bitsandbytes, .*perdure\[quantization\]"):
        load_policy(model_of(quantization="8bit", lora={}), seed=0)
    for name in ("adamw_8bit", "paged_adamw_32bit"):
        with pytest.raises(ConfigError, match=r"train settings of `sft`: TRL refuses them: .* install `bitsandbytes`"):
            check(method_of("sft"), settings_of("sft", trl={"optim": name}), toy_task(), ())


def test_tensors_that_share_memory_are_kept_once_and_other_views_of_it_copied() -> None:
    table = torch.arange(4.0)
    tree = {0: {"qmap": table, "part": table[:2]}, 1: {"qmap": table, "none": torch.empty(0)}, 2: torch.empty(0)}
    tensors: dict[str, torch.Tensor] = {}
    plain = to_plain(tree, tensors)
    back = from_plain(plain, tensors)
    assert back[0]["qmap"] is back[1]["qmap"] and len(tensors) == 4
    assert torch.equal(back[0]["qmap"], table) and torch.equal(back[0]["part"], table[:2])
    assert len({one.untyped_storage().data_ptr() for one in tensors.values() if one.numel()}) == 2


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_an_adapter_over_a_quantized_base(kind: str, folder: Path, tmp_path: Path) -> None:
    """The base is the quantized model, KL to itself is 0, and an update changes the adapter alone, in float32."""
    pytest.importorskip("bitsandbytes", reason=WHY)
    policy = quantized(kind, folder)
    assert policy.precision.settings == f"{kind} and float32 weights"
    assert policy.frozen_digest != load_policy(model_of(lora={}, model_name_or_path=str(folder)), seed=0).frozen_digest
    texts = sample_base_texts(policy, {"toy": ["ab", "ba cd"]}, max_completion_length=6, batch_size=2, seed=1)
    policy.base = Base(texts)
    assert sum(texts.measure(["toy"]).kl_base_to_policy[0].sums) == 0
    run = Run(policy, tmp_path / "run")
    run.update("sft", small("sft", max_steps=3, learning_rate=0.03))
    assert {one.dtype for one in run.weights.values()} == {torch.float32}
    assert digest(all_frozen(policy.model)) == policy.frozen_digest
    assert sum(texts.measure(["toy"]).kl_base_to_policy[0].sums) > 0
    before = policy.fingerprint()
    policy.save(tmp_path / "saved")
    again = quantized(kind, folder)
    again.restore(tmp_path / "saved")
    assert again.fingerprint() == before


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_a_server_is_given_a_quantized_base_dequantized(kind: str, folder: Path) -> None:
    pytest.importorskip("bitsandbytes", reason=WHY)
    policy, plain = quantized(kind, folder), tiny_policy_parts(seed=3)[0]
    ids = torch.arange(6)[None]
    weights = served_weights(policy.model)
    assert set(weights) == set(dict(plain.named_parameters()))
    plain.load_state_dict(weights, strict=False)
    gap = (plain(input_ids=ids).logits - policy.model(input_ids=ids).logits).abs().max()
    assert gap < (1e-5 if kind == "4bit" else 0.05), "LLM.int8 rounds the inputs, too"


def test_an_adapter_over_a_quantized_base_is_exported_as_one() -> None:
    model = model_of(quantization="4bit", lora={})
    with pytest.raises(RunError, match="--merge: the adapter was trained over a base in 4bit, and merging rounds"):
        _with_adapter(Order(Path(), (), Path(), None, None, merge=True, name="."), model)  # type: ignore[arg-type]
    usage = _usage_of_adapter(
        ".", model.model_copy(update={"model_name_or_path": "org/base"}), CardBase("", "org/base")
    )
    loading = 'quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")'
    assert f'from_pretrained("org/base", {loading})' in usage and "import BitsAndBytesConfig" in usage


def test_saved_quantized_weights_and_adapters_below_are_refused(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason=WHY)
    policy = quantized("4bit", folder)
    policy.save(tmp_path / "adapter")
    with pytest.raises(ModelError, match="is an adapter, and merging it into a quantized base would round it away"):
        quantized("4bit", tmp_path / "adapter")
    policy.model.unload().save_pretrained(tmp_path / "packed")
    policy.tokenizer.save_pretrained(tmp_path / "packed")
    with pytest.raises(ModelError, match=r"are quantized already \(bitsandbytes\); give whole weights"):
        load_policy(model_of(model_name_or_path=str(tmp_path / "packed")), seed=0)


@pytest.mark.parametrize("optim", ["adamw_8bit", "paged_adamw_32bit", "lion_8bit"])
def test_a_resumed_update_by_an_8_bit_optimiser_ends_as_an_undisturbed_one(optim: str, tmp_path: Path) -> None:
    """In widths above 4096 weights its states are 8-bit, and their tables are shared."""
    pytest.importorskip("bitsandbytes", reason=WHY)
    settings = small("sft", save_steps=2, max_steps=5, trl={"optim": optim})
    whole = Run(load_policy(model_of(), seed=0), tmp_path / "whole")
    whole.update("sft", settings)
    with pytest.raises(Killed):
        Run(load_policy(model_of(), seed=0), tmp_path / "cut").update(
            "sft", settings, at=lambda step: step == 3, error=Killed()
        )
    resumed = Run(load_policy(model_of(), seed=0), tmp_path / "cut")
    resumed.update("sft", settings)
    assert resumed.seen[0].step == 3 and resumed.digest == whole.digest


def test_each_optimiser_of_transformers_has_its_module(tmp_path: Path) -> None:
    """Transformers refuses those whose module is not here, and no other."""
    from transformers import Trainer, TrainingArguments
    from transformers.training_args import OptimizerNames

    for one in OptimizerNames:
        module = module_of(one.value)
        if module is not None and find_spec(module) is not None:
            continue
        arguments = TrainingArguments(output_dir=str(tmp_path), optim=one.value, use_cpu=True)
        if module is None:
            Trainer.get_optimizer_cls_and_kwargs(arguments)
        else:
            with pytest.raises((ImportError, ValueError, RuntimeError)):
                Trainer.get_optimizer_cls_and_kwargs(arguments)
