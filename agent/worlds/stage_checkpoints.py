"""Folders of checkpoints inside a stage: whole or absent, and without pickle.

A checkpoint is a folder `step-000050`. It is written under another name, synced, and renamed: a folder of that name is
complete, and one that is damaged later, by the SHA-256 of its files in `sha256.json`, counts as absent.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from perdure.agent.weights import save_weights
from perdure.agent.worlds.contract import WeightsFile
from perdure.budget.errors import DiskFullError
from perdure.budget.files import first_damaged, hashes, is_full_disk, link, make_folder, naming, remove, sync, sync_all

WEIGHTS, TENSORS, STATE = "weights.safetensors", "state.safetensors", "state.json"
"""The weights that the update changes, all other tensors, and the rest."""

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


Fill = Callable[[Path], Mapping[str, str]]
"""Writes the files of a checkpoint into a folder; the SHA-256 of those that it knows already."""


def fill_weights(partial: Path, weights: Mapping[str, Tensor], already: WeightsFile | None) -> dict[str, str]:
    """Write the weights, or give the file that `already` holds them a second name, as `Fill` does."""
    if already is not None and link(already.path, partial / WEIGHTS):
        return {WEIGHTS: already.sha256}
    save_weights(weights, partial / WEIGHTS)
    return {}


def write(folder: Path, step: int, fill: Fill) -> Path:
    """Let `fill` write files into a temporary folder, sync them, rename it to its final name, drop older checkpoints.

    Raises:
        DiskFullError: no room; the checkpoint before is still there, and whole.
    """
    partial, final = folder / f"partial-{step:06d}", folder / f"step-{step:06d}"
    try:
        make_folder(partial)
        with naming(partial):
            known = fill(partial)
            (partial / HASHES).write_text(json.dumps(hashes(partial, known)))
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


def to_plain(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """A tree of dicts, lists, tuples, tensors and scalars as JSON; its tensors go into `tensors` by number.

    A tensor that several places of the tree share, as the tables of an 8-bit optimiser, has one number.

    Raises:
        TypeError: something else in the tree; nothing is ever pickled.
    """
    return _plain(tree, tensors, {})


def _plain(tree: Any, tensors: dict[str, Tensor], views: dict[tuple[Any, ...], str]) -> Any:
    if isinstance(tree, Tensor):
        return {"tensor": _number(tree.detach().contiguous(), tensors, views)}
    if isinstance(tree, dict):
        return {"dict": [[_plain(one, tensors, views) for one in pair] for pair in tree.items()]}
    if isinstance(tree, list | tuple):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_plain(value, tensors, views) for value in tree]}
    if isinstance(tree, np.generic):
        return tree.item()
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint cannot hold a {type(tree).__name__}")


def _number(tensor: Tensor, tensors: dict[str, Tensor], views: dict[tuple[Any, ...], str]) -> str:
    """The number of a tensor; safetensors refuses memory that two names share, so other views of it are copied."""
    memory = tensor.untyped_storage().data_ptr() if tensor.numel() else 0
    view = (memory, tensor.storage_offset(), tensor.dtype, tuple(tensor.shape))
    if memory and view in views:
        return views[view]
    number = str(len(tensors))
    is_taken = memory and (memory,) in views
    tensors[number] = tensor.clone() if is_taken else tensor
    views |= {view: number, (memory,): number}
    return number


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
