"""An HDF5 file of episodes in robomimic's layout: `data/demo_N/{obs, actions, rewards}`, `obs` a group or one array.

Whether a demonstration succeeded says its attribute or array `success`. `dones` is not read: an end is no success.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.worlds.control.demonstrations.recording import Recording, chosen


def read_hdf5(file: Path, wanted: Sequence[str] | None, space: Any) -> Iterator[Recording]:
    """The episodes of a file, by number.

    Raises:
        ConfigError: h5py is not installed.
        DataError: the file is damaged, or has another layout.
    """
    try:
        import h5py
    except ImportError:
        raise ConfigError(f"{file}: HDF5 files are read by h5py, which is not installed: pip install h5py") from None
    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{file} is no HDF5 file: {error}") from None
    with opened:
        demos = opened.get("data")
        names = [name for name in demos if re.fullmatch(r"demo_\d+", name)] if isinstance(demos, h5py.Group) else []
        if not names:
            raise DataError(f"{file}: it has no `data/demo_0`, `data/demo_1`, …; robomimic's layout is read")
        for name in sorted(names, key=lambda one: int(one.removeprefix("demo_"))):
            yield _recording(demos[name], wanted, space, f"{file}, {name}")


def _recording(demo: Any, wanted: Sequence[str] | None, space: Any, place: str) -> Recording:
    missing = [name for name in ("obs", "actions") if name not in demo]
    if missing:
        raise DataError(f"{place}: it has no {missing[0]!r}; it has {', '.join(map(repr, demo))}")
    seen = demo["obs"]
    columns = {name: seen[name][()] for name in seen} if hasattr(seen, "keys") else {"": seen[()]}
    rewards = demo["rewards"][()].astype(np.float64).ravel() if "rewards" in demo else None
    success: Any = None
    if "success" in demo.attrs:
        success = bool(demo.attrs["success"])
    elif "success" in demo:
        success = demo["success"][()].astype(bool).ravel()
    return Recording(place, chosen(columns, wanted, space, place), demo["actions"][()], rewards, success)
