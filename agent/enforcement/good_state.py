"""The last state of a stage that the budget accepted, to which a rollback goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.stages import GOOD_STATE
from perdure.agent.weights import HostCopy, restore_weights, write_weights
from perdure.agent.worlds.contract import WeightsFile
from perdure.budget import ranks
from perdure.budget.files import sha256_of

if TYPE_CHECKING:
    from torch import Tensor


class GoodState:
    """In the memory of the host; on the disk, in the stage's folder, it is what it was at the last checkpoint.

    A stage that goes on from a checkpoint finds there the state that it had then, and makes every later one again.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._about = (folder / name for name in GOOD_STATE)
        self._copy = HostCopy()
        self._step: int | None = None
        self._written: WeightsFile | None = None

    def keep(self, step: int, weights: "Mapping[str, Tensor]") -> None:
        """The weights after this step are good."""
        self._copy.take(weights)
        self._step, self._written = step, None

    def write(self, step: int) -> WeightsFile | None:
        """Bring it to the disk, before a checkpoint of this step is written. The file, if it is of this very step.

        Raises:
            OSError: such as a full disk; the file before is unchanged.
        """
        if self._step is None:
            return None
        if self._written is None:
            self._written = ranks.told(self._write)
        return self._written if self._step == step else None

    def _write(self) -> WeightsFile:
        self._about.unlink(missing_ok=True)
        write_weights(self._copy.weights, self._file)
        written = WeightsFile(self._file, sha256_of(self._file))
        write_json(self._about, {"step": self._step, "sha256": written.sha256})
        return written

    def find(self) -> int | None:
        """Its step; `None` where there is none.

        Raises:
            ValueError: the file on the disk is not what was written.
            RunError: the file about it cannot be read.
        """
        return ranks.told(self._read) if self._step is None else self._step

    def _read(self) -> int | None:
        if not self._about.exists() or not self._file.exists():
            return None
        found = read_json(self._about)
        if not isinstance(found.get("step"), int) or found.get("sha256", "") not in ("", sha256_of(self._file)):
            raise ValueError(f"{self._file} is not what was written")
        return int(found["step"])

    def put_back(self, weights: "Mapping[str, Tensor]") -> None:
        """Make these weights, in place, those of the state."""
        if self._step is None:
            restore_weights(weights, self._file)
        else:
            self._copy.put_back(weights)
