"""A folder that holds an adapter: as a base model it is the adapter merged into its own base."""

import json
from pathlib import Path

from transformers.utils import find_adapter_config_file

from perdure.agent.worlds.checkpoints import unreadable
from perdure.agent.worlds.language.hub import has_file, hub_answers, resolve_path
from perdure.agent.worlds.language.pretrained import checkpoint_of
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel

MOST_ADAPTERS = 8
"""Adapters over one another; a folder that is its own base has no end of them."""


def layers_of(config: CausalModel) -> list[CausalModel]:
    """The model named, then, where it is an adapter, its base, and so on down to a whole model.

    Raises:
        ModelError: an adapter that names no base, or one that is neither a folder nor on the hub, or too many.
    """
    found = [config]
    while (base := _base_of(found[-1])) is not None:
        found.append(base)
        if len(found) > MOST_ADAPTERS:
            raise ModelError(
                f"model.model_name_or_path: {config.model_name_or_path!r} is an adapter over an adapter, more than "
                f"{MOST_ADAPTERS} deep: does one name itself as its base?"
            )
    return found


def _base_of(config: CausalModel) -> CausalModel | None:
    """The base that an adapter names; `None` for a whole model."""
    name, folder = config.model_name_or_path, resolve_path(config.model_name_or_path)
    offline = not hub_answers(config)
    try:
        file = find_adapter_config_file(folder, revision=config.revision, local_files_only=offline)
        if file is None:
            return None
        said = json.loads(Path(file).read_text(encoding="utf-8"))
        base, revision = said.get("base_model_name_or_path"), said.get("revision")
    except Exception as error:
        raise unreadable(checkpoint_of(config), error, "adapter") from error
    where = f"model.model_name_or_path: {name!r} is an adapter"
    remedy = f"write the folder of its base as base_model_name_or_path into {file}, or give a folder with a whole model"
    if said.get("task_type") not in (None, "CAUSAL_LM"):
        raise ModelError(f"{where} for {said['task_type']!r}, not for a causal language model (CAUSAL_LM)")
    if list(Path(folder).glob("model*.safetensors")):
        raise ModelError(f"{where} and a whole model in one folder; move adapter_* or model* elsewhere")
    if not has_file(config, "adapter_model.safetensors"):
        raise ModelError(f"{where} without adapter_model.safetensors; save it with safetensors (peft's default)")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{where} that does not say of which base; {remedy}")
    below = config.model_copy(update={"model_name_or_path": base, "revision": revision})
    if not (has_file(below, "config.json") or has_file(below, "adapter_config.json")):
        gone = "which is no folder with a model here, nor to be had from the hub"
        raise ModelError(f"{where} over {base!r}, {gone}; {remedy}")
    return below
