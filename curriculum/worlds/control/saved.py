"""Reads what a saved policy says of itself: its model and its interface. The weights are read in `agent`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.interface import Interface, from_json
from perdure.curriculum.worlds.control.model import ControlModel

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""The files of a saved policy."""

COMPARED = ("policy", "bins")
"""The settings of a model that its weights depend on."""


@dataclass(frozen=True)
class Saved:
    """A saved policy: its folder, and the interface that it was made for."""

    folder: Path
    interface: Interface


def read_saved(model: ControlModel) -> Saved:
    """The policy of `model.path`, without its weights.

    Raises:
        ConfigError: the folder holds no policy, or one of another model.
    """
    assert model.path is not None, "a model without `pretrain` has a `path`"
    folder = Path(model.path)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"model.path: {folder} has no {' and no '.join(missing)}; name the folder of a policy that a run saved "
            "(runs/NAME/stages/01-…/policy)"
        )
    try:
        kept = json.loads((folder / CONFIG).read_text())
        saved = ControlModel.model_validate_json(json.dumps(kept["model"]))
        interface = from_json(f"model.path ({folder})", kept)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise ConfigError(
            f"model.path: {folder / CONFIG} does not describe a policy of the control world: {type(error).__name__}"
        ) from None
    for name in COMPARED:
        mine, its = _shown(getattr(model, name)), _shown(getattr(saved, name))
        if mine != its:
            raise ConfigError(f"model.{name} is {mine}, and the policy in {folder} has {its}; write that")
    return Saved(folder, interface)


def _shown(value: Any) -> str:
    return json.dumps(value.model_dump(mode="json")) if isinstance(value, BaseModel) else str(value)
