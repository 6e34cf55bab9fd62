"""The figures of the optimiser step in progress, as a trainer of TRL's notes them."""

from typing import Any

import torch
from torch import Tensor


class StepLosses:
    """The loss of the optimiser step in progress: the micro-batches' shares, summed."""

    def __init__(self) -> None:
        self._shares: list[Tensor] = []

    def add(self, share: Tensor) -> None:
        """Note the share of one micro-batch (already divided for accumulation)."""
        self._shares.append(share)

    def drain(self) -> float:
        """The loss of the step, which is over; waits for the device once."""
        total = float(torch.stack(self._shares).sum()) if self._shares else float("nan")
        self._shares = []
        return total


LOGGED = {"entropy": "entropy", "reward_std": "reward_std", "mean_length": "completions/mean_length"}
"""Figures of a step by the names under which TRL's trainers note them for their log."""


class NotedFigures:
    """The figures that a trainer noted in the step in progress: of several micro-batches their mean, as TRL logs it.

    In a step that samples nothing, and uses the answers of the step before, those of the answers are the same again.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._begun: dict[str, int] = {}
        self._found: dict[str, float | None] = dict.fromkeys(LOGGED)

    def begin(self) -> None:
        """A step begins."""
        self._begun = {name: len(self._noted(name)) for name in LOGGED}

    def read(self, *, rewarded: bool) -> dict[str, float | None]:
        """The figures of the step; without a reward none of it."""
        for name in LOGGED:
            values = self._noted(name)[self._begun[name] :]
            self._found[name] = sum(values) / len(values) if values else self._found[name]
        return self._found | ({} if rewarded else {"reward_std": None})

    def _noted(self, name: str) -> list[float]:
        values: list[float] = self._trainer._metrics["train"].get(LOGGED[name], [])
        return values
