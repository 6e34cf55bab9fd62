"""A Minari dataset (https://minari.farama.org): a folder, or the id of one under Minari's local root.

Nothing is downloaded. Success is `success` in the recorded `info`. The dataset must be of the task's environment.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.worlds.control.demonstrations.recording import Recording
from perdure.curriculum.worlds.control.starts import Environment

DRAWN = "render_mode"
"""The argument that is only about pictures."""


def folder_of(path: str) -> Path:
    """The folder with the data of a dataset."""
    root = os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets"
    here = Path(path) if Path(path).exists() else Path(root) / path
    return here / "data" if (here / "data").is_dir() else here


def read_minari(path: str, environment: Environment) -> Iterator[Recording]:
    """The episodes of a dataset, by number.

    Raises:
        ConfigError: minari is not installed; the dataset is of another environment.
        DataError: no such dataset, or a damaged one.
    """
    try:
        from minari import MinariDataset
    except ImportError:
        raise ConfigError(f"{path}: Minari's datasets are read by minari, which is not installed: pip install "
                          "'perdure[robots]'") from None  # fmt: skip
    folder = folder_of(path)
    if not folder.is_dir():
        raise DataError(f"{path}: there is no such folder, and no Minari dataset {folder}; fetch one first (minari "
                        f"download {path})")  # fmt: skip
    try:
        found = MinariDataset(folder)
    except Exception as error:
        raise DataError(f"{folder} is no Minari dataset: {type(error).__name__}: {error}") from None
    _refuse_other(found.env_spec, environment, folder)
    for one in found.iterate_episodes():
        success = (one.infos or {}).get(environment.success_key)
        count = len(one.rewards)
        yield Recording(
            f"{folder}, episode {one.id}",
            one.observations,
            np.asarray(one.actions),
            np.asarray(one.rewards, np.float64),
            None if success is None else np.asarray(success, bool).ravel()[-count:],
        )


def _refuse_other(spec: Any, environment: Environment, folder: Path) -> None:
    """Refuse the episodes of another environment; a dataset may not say of which it is."""
    if spec is None:
        return
    name = environment.id.rpartition(":")[2]
    if spec.id != name:
        raise ConfigError(f"{folder}: its episodes are of {spec.id}, and the task's environment is {name}")
    own = {**gymnasium.spec(name).kwargs, **environment.arguments}
    for one in sorted((own.keys() | spec.kwargs.keys()) - {DRAWN}):
        mine, its = (repr(kwargs[one]) if one in kwargs else "none" for kwargs in (own, spec.kwargs))
        if mine != its:
            raise ConfigError(
                f"{folder}: its episodes are of {name} with {one}: {its}, and the task's `kwargs` have {mine}; write "
                "the same"
            )
