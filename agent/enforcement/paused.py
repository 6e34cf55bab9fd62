"""A candidate of a race at a rung, trained and not yet measured: kept on the disk, so that a kill trains it no further.

It is written before the checkpoint of its last step, in the folder of its fork, and removed once the rung is measured.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.folder import read_json, write_json
from perdure.agent.strategies.contract import TrialResult
from perdure.agent.weights import write_weights

if TYPE_CHECKING:
    from torch import Tensor

PAUSED, WEIGHTS = "paused.json", "paused.safetensors"
"""Inside the folder of a fork."""


@dataclass(frozen=True)
class Paused:
    """The steps of the fork so far, the first one made on the way to this rung, the seconds since, the KL half-way.

    `ended`: the cap or a fault ended the training; `broken`: a fault did.
    """

    rung: int
    first: int
    steps: int
    seconds: float
    kl_midway: float | None
    ended: bool
    broken: bool

    def seconds_a_step(self, before: TrialResult | None) -> float:
        """The mean over the steps whose seconds are known: these, and those of the rung before that were not redone."""
        earlier = 0 if before is None else min(before.steps, self.first - 1)
        seconds = 0.0 if before is None else before.seconds_a_step * earlier
        return (self.seconds + seconds) / max(1, self.steps - self.first + 1 + earlier)


def write_paused(folder: Path, paused: Paused, weights: "Mapping[str, Tensor]") -> None:
    """Keep a candidate with its weights; killed before the end, it is as if it were not kept."""
    write_weights(weights, folder / WEIGHTS)
    write_json(folder / PAUSED, asdict(paused))


def read_paused(folder: Path, rung: int) -> Paused | None:
    """The candidate that was kept at a rung, if it was."""
    path = folder / PAUSED
    found = Paused(**read_json(path)) if path.exists() else None
    return found if found is not None and found.rung == rung else None


def forget_paused(folder: Path) -> None:
    """The rung is measured."""
    for name in (PAUSED, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
