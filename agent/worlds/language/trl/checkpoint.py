"""Checkpoints inside a stage: whole or absent, and without pickle.

A checkpoint is a folder `step-000050` with the weights that the update changes (`weights.safetensors`), everything else
that the next step depends on (optimiser, scheduler and generator states, the weight of the budget's KL term, what a
method keeps of its own: tensors in `state.safetensors`, the rest in `state.json`) and transformers' own
`trainer_state.json`. It is written under another name, synced, and renamed: a folder of that name is complete, and one
that is damaged later, by the SHA-256 of its files in `sha256.json`, counts as absent. The last step's checkpoint says
`finished` and holds no optimiser state.
"""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from perdure.agent.weights import restore_weights, trainable
from perdure.budget.errors import DiskFullError
from perdure.budget.files import first_damaged, hashes, is_full_disk, make_folder, naming, remove, sync, sync_all
from perdure.budget.plain_json import from_words, with_words

WEIGHTS, TENSORS, STATE = "weights.safetensors", "state.safetensors", "state.json"
HASHES = "sha256.json"
COMPLETE = re.compile(r"step-(\d{6,})")


def latest(folder: Path) -> Path | None:
    """The newest complete and undamaged checkpoint in `folder`, or `None`."""
    found = [path for path in folder.iterdir() if COMPLETE.fullmatch(path.name)] if folder.is_dir() else []
    return next((path for path in sorted(found, key=step_of, reverse=True) if _is_undamaged(path)), None)


def _is_undamaged(checkpoint: Path) -> bool:
    """True if every file is what was written; checkpoints of older versions do not say what that was."""
    try:
        written = json.loads((checkpoint / HASHES).read_text()) if (checkpoint / HASHES).exists() else {}
        return first_damaged(checkpoint, written) is None
    except (OSError, ValueError, AttributeError):
        return False


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("step-"))


def sweep(folder: Path, keep: Path | None = None) -> Path | None:
    """Remove everything but `keep`, by default the newest complete checkpoint, and return that."""
    keep = keep or latest(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path != keep:
            remove(path)
    return keep


def write(folder: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Let `fill` write files into a temporary folder, sync them, rename it to its final name, drop older checkpoints.

    Raises:
        DiskFullError: no room; the checkpoint before is still there, and whole.
    """
    partial, final = folder / f"partial-{step:06d}", folder / f"step-{step:06d}"
    try:
        make_folder(partial)
        with naming(partial):
            fill(partial)
            (partial / HASHES).write_text(json.dumps(hashes(partial)))
        sync_all(partial)
        partial.replace(final)
        sync(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if is_full_disk(error):
            raise DiskFullError(f"no room for a checkpoint in {folder}: free some space and resume the run") from error
        raise
    sweep(folder, final)
    return final


def save(trainer: Any, folder: Path) -> Path:
    """Write a checkpoint of a transformers trainer, between two optimiser steps."""
    step, last_step = trainer.state.global_step, trainer.state.max_steps

    def fill(partial: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in trainable(trainer.model).items()}, partial / WEIGHTS)
        tensors: dict[str, Tensor] = {}
        state = {"step": step, "finished": step >= last_step, "penalty_weight": trainer.terms.weight}
        state["counts"] = trainer.counts
        if step < last_step:
            state["resume"] = to_plain(_resume_state(trainer), tensors)
        save_file(tensors, partial / TENSORS)
        (partial / STATE).write_text(json.dumps(with_words(state), allow_nan=False))
        trainer.state.save_to_json(str(partial / "trainer_state.json"))

    return write(folder, step, fill)


def _resume_state(trainer: Any) -> dict[str, Any]:
    scaler = trainer.accelerator.scaler
    return {
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "generators": generator_states(),
        "own": trainer.own_state() if hasattr(trainer, "own_state") else None,
        "entropy": {name: getattr(trainer, name) for name in ENTROPY_CONTROL if hasattr(trainer, name)},
    }


ENTROPY_CONTROL = ("entropy_coef", "_last_world_entropy")
"""The state of TRL's adaptive entropy bonus."""


def is_finished(checkpoint: Path) -> bool:
    """True for the checkpoint of the last step, of which only the weights are loaded."""
    return bool(_read_state(checkpoint)["finished"])


def _read_state(checkpoint: Path) -> dict[str, Any]:
    return from_words(json.loads((checkpoint / STATE).read_text()))


def penalty_weight(checkpoint: Path) -> float | None:
    """The weight of the KL term after a checkpoint's step; `None` where there was no such term."""
    weight: float | None = _read_state(checkpoint)["penalty_weight"]
    return weight


def counts(checkpoint: Path) -> dict[str, int]:
    """The counts of the steps before; none in a checkpoint of the version before."""
    found: dict[str, int] = json.loads((checkpoint / STATE).read_text()).get("counts", {})
    return found


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Copy the weights of a checkpoint into the model, in place."""
    restore_weights(model, checkpoint / WEIGHTS)


def load_optimizer(trainer: Any, checkpoint: Path) -> None:
    """Restore the optimiser, the scheduler, the penalty's weight and the method's own state."""
    state = _read_resume_state(checkpoint)
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.lr_scheduler.load_state_dict(state["scheduler"])
    if state["scaler"] is not None:
        trainer.accelerator.scaler.load_state_dict(state["scaler"])
    for name, value in state["entropy"].items():
        setattr(trainer, name, value)
    if state["own"] is not None:
        trainer.take_own_state(state["own"])
    trainer.terms.put_back(penalty_weight(checkpoint))


def load_generators(checkpoint: Path) -> None:
    """Restore the global generators' states after the checkpoint's step."""
    set_generator_states(_read_resume_state(checkpoint)["generators"])


def _read_resume_state(checkpoint: Path) -> dict[str, Any]:
    tensors = load_file(checkpoint / TENSORS)
    state: dict[str, Any] = from_plain(_read_state(checkpoint)["resume"], tensors)
    return state


def generator_states() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's global generators, of every CUDA device too."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """The inverse of `generator_states`."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def to_plain(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """A tree of dicts, lists, tuples, tensors and scalars as JSON; its tensors go into `tensors` by number.

    Raises:
        TypeError: something else in the tree; nothing is ever pickled.
    """
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().contiguous()
        return {"tensor": name}
    if isinstance(tree, dict):
        return {"dict": [[to_plain(key, tensors), to_plain(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [to_plain(value, tensors) for value in tree]}
    if isinstance(tree, np.generic):
        return tree.item()
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint cannot hold a {type(tree).__name__}")


def from_plain(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `to_plain`."""
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {from_plain(key, tensors): from_plain(value, tensors) for key, value in content}
    values = [from_plain(value, tensors) for value in content]
    return values if kind == "list" else tuple(values)
