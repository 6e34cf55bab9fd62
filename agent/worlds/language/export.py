"""Exports a language model: whole, as an adapter, or with the adapter merged into its base."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from perdure.agent.export.contract import UNKNOWN, CardBase, Exported, Order, code, copy_policy
from perdure.agent.worlds.hub import commit_of, found_file, license_of
from perdure.agent.worlds.language.adapter import layers_of
from perdure.agent.worlds.language.hub import resolve_path
from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.base_id import weights_of
from perdure.budget.errors import ModelError, RunError
from perdure.curriculum.worlds.language.model import CausalModel

TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far the logits of merged weights may lie from those of base and adapter, as a share of the largest logit.

Merging rounds every weight to its type, so that the share is that type's.
"""
TOKENS = 64
"""Tokens on which both are compared."""
OWN_LICENSE = {"license": "apache-2.0"}
"""The licence of a model that ships with perdure."""


def export_policy(order: Order) -> Exported:
    """See `ExportPolicy`. A base that an adapter stands on is loaded, and must be the one that the run began with."""
    model = order.curriculum.model
    assert isinstance(model, CausalModel), "a curriculum of the language world"
    dtype = order.begun.resolved.get("dtype", model.dtype).removeprefix("torch.")
    # Quantized weights come out the same on the same kind of device alone.
    device = "cpu" if model.quantization is None else "auto"
    model = model.model_copy(update={"device": device, "dtype": dtype, "autocast": "none"})
    return _whole(order, model) if model.lora is None else _with_adapter(order, model)


def _whole(order: Order, model: CausalModel) -> Exported:
    saved = model.model_copy(update={"model_name_or_path": str(order.source), "revision": None})
    policy = load_policy(saved, seed=order.curriculum.seed)
    copy_policy(order)
    return Exported(
        policy.fingerprint(), _base_of(model), "finetune", _usage(order.name), library="transformers", **_COMMON
    )


def _with_adapter(order: Order, model: CausalModel) -> Exported:
    if order.merge and model.quantization is not None:
        raise RunError(
            f"--merge: the adapter was trained over a base in {model.quantization}, and merging rounds to as many; "
            "export the adapter, without --merge"
        )
    policy = load_policy(model, seed=order.curriculum.seed)
    began = weights_of(order.begun.base_id)
    if policy.frozen_digest != began:
        raise ModelError(
            f"model.model_name_or_path: {model.title} is no longer the base that this run began with, and its adapter "
            f"fits no other: the weights' SHA-256 is {policy.frozen_digest}, and was {began}"
            + " (a GPU and a CPU may quantize differently)"
            * bool(model.quantization)
        )
    policy.restore(order.source)
    return _merged(order, model, policy) if order.merge else _adapter(order, model, policy)


def _merged(order: Order, model: CausalModel, policy: LanguagePolicy) -> Exported:
    fingerprint, logits_TV = policy.fingerprint(), _logits(policy.model)
    copy_policy(order, without="adapter_")
    policy.model.merge_and_unload(safe_merge=True).save_pretrained(order.target)
    again = AutoModelForCausalLM.from_pretrained(order.target, dtype="auto", use_safetensors=True).eval()
    share = float((_logits(again) - logits_TV).abs().max() / logits_TV.abs().max())
    if not share <= TOLERANCE[again.dtype]:
        raise RunError(
            f"--merge: the merged weights do not answer as base and adapter do: logits differ by {share:.2g} of the "
            f"largest, and {TOLERANCE[again.dtype]:g} is what rounding explains; export the adapter, without --merge"
        )
    note = f"The adapter was merged into the base; logits differ from base and adapter by {share:.1g} of the largest."
    base = _base_of(model, _commit(model))
    return Exported(
        fingerprint,
        base,
        "finetune",
        _usage(order.name),
        merged=True,
        library="transformers",
        notes=(note,),
        **_COMMON,
    )


def _adapter(order: Order, model: CausalModel, policy: LanguagePolicy) -> Exported:
    layers = layers_of(model)
    if len(layers) > 1:
        raise RunError(
            f"the base is itself an adapter, {layers[0].title!r} merged into {layers[1].title!r}, so that nobody has "
            "it as one model; export whole weights with --merge"
        )
    copy_policy(order)
    with suppress(ValueError):  # transformers does not write settings that contradict each other
        policy.model.generation_config.save_pretrained(order.target)
    base = _base_of(model, _commit(model))
    file = order.target / "adapter_config.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    said |= {"base_model_name_or_path": base.hub, "revision": base.revision}
    file.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Exported(
        policy.fingerprint(),
        base,
        "adapter",
        _usage_of_adapter(order.name, model, base),
        library="peft",
        notes=_without_a_name(model, base),
        **_COMMON,
    )


_COMMON: dict[str, Any] = {"pipeline": "text-generation", "tags": ("text-generation",)}


@torch.no_grad()
def _logits(model: Any) -> Tensor:
    """Logits after each of some tokens, (T, V), in float32."""
    rows = model.get_input_embeddings().weight.shape[0]
    ids_1T = (torch.arange(TOKENS) * 7919 % rows)[None]
    found: Tensor = model(input_ids=ids_1T, use_cache=False).logits[0].float()
    return found


def _commit(model: CausalModel) -> str | None:
    """The commit of a base from the hub."""
    file = found_file(resolve_path(model.model_name_or_path), model.revision, "config.json")
    return None if file is None else commit_of(file)


def _base_of(model: CausalModel, commit: str | None = None) -> CardBase:
    """The base, at the commit whose weights were checked, or at the revision that the curriculum names."""
    name, path = model.model_name_or_path, resolve_path(model.model_name_or_path)
    if name.startswith("builtin:"):
        return CardBase(f"`{name}`, which ships with perdure", license=OWN_LICENSE)
    found = license_of(path, model.revision) or UNKNOWN
    if Path(path).exists():
        return CardBase(f"a local folder, `{Path(path).absolute().name}`", license=found)
    return CardBase(f"`{name}`", name, commit or model.revision, found)


def _without_a_name(model: CausalModel, base: CardBase) -> tuple[str, ...]:
    if base.hub is not None:
        return ()
    return (
        f"The adapter names no base, since the base is {base.title}, and not on the hub: whoever loads the adapter "
        "needs that base. `--merge` gives whole weights.",
    )


def _usage(name: str, load: str = "") -> str:
    loaded = load or f'model = AutoModelForCausalLM.from_pretrained("{name}")'
    return code(f"""
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
{loaded}
messages = [{{"role": "user", "content": "your prompt"}}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=64)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
""")


def _usage_of_adapter(name: str, model: CausalModel, base: CardBase) -> str:
    revision = f', revision="{base.revision}"' if base.revision else ""
    named, imports = f'"{base.hub}"{revision}', ""
    if model.model_name_or_path.startswith("builtin:"):
        imports = "from importlib.resources import files\n\n"
        folder = model.model_name_or_path.removeprefix("builtin:")
        named = f'files("perdure.agent.worlds.language.builtin_model") / "{folder}"'
    elif base.hub is None:
        named = '"BASE"'
    quantized = ""
    if model.quantization is not None:
        imports += "from transformers import BitsAndBytesConfig\n"
        how = "load_in_8bit=True" if model.quantization == "8bit" else 'load_in_4bit=True, bnb_4bit_quant_type="nf4"'
        quantized = f", quantization_config=BitsAndBytesConfig({how})"
    comment = "  # the folder of the base" if named == '"BASE"' else ""
    return _usage(
        name,
        f"""base = AutoModelForCausalLM.from_pretrained({named}{quantized}){comment}
model = PeftModel.from_pretrained(base, "{name}")""",
    ).replace("```python\n", f"```python\n{imports}from peft import PeftModel\n", 1)
