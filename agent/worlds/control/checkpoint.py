"""Checkpoints of an update in the control world (`agent/worlds/stage_checkpoints.py`).

One is written between two batches: the weights, the optimiser's state, the weight of the budget's KL term, and what was
counted. All draws follow from the seed and the number of a batch, so that nothing else decides the next step.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from perdure.agent.weights import restore_weights, trained
from perdure.agent.worlds import stage_checkpoints
from perdure.agent.worlds.contract import Saving
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.stage_checkpoints import STATE, TENSORS, WEIGHTS, from_plain, to_plain
from perdure.budget.penalty import Controller


@dataclass
class Checkpoints:
    """The checkpoints of one update, in `folder`; `counts` are those of `Update`, and `saving` is the job's."""

    folder: Path
    every: int
    policy: ControlPolicy
    optimizer: torch.optim.Optimizer
    controller: Controller | None
    counts: dict[str, tuple[int, int]]
    saving: Saving
    last: int = 0

    def take_up(self) -> int:
        """Put the newest checkpoint back. Returns its step, 0 without one."""
        found = stage_checkpoints.sweep(self.folder)
        if found is None:
            return 0
        state = json.loads((found / STATE).read_text())
        restore_weights(trained(self.policy.actor.network), found / WEIGHTS)
        self.optimizer.load_state_dict(from_plain(state["optimizer"], load_file(found / TENSORS)))
        if self.controller is not None:
            self.controller.weight = state["penalty_weight"]
        self.counts.update({name: (count, of) for name, (count, of) in state["counts"].items()})
        self.policy.faults[:] = state["faults"]
        self.last = stage_checkpoints.step_of(found)
        return self.last

    def is_due(self, step: int, steps: int) -> bool:
        """True after the last step, or so many steps after the checkpoint before."""
        return step >= steps or step - self.last >= self.every

    def save(self, step: int) -> None:
        """Write the state after a step.

        Raises:
            DiskFullError: no room; the checkpoint before is still there.
        """

        already = self.saving()

        def fill(partial: Path) -> dict[str, str]:
            tensors: dict[str, Tensor] = {}
            state: dict[str, Any] = {
                "optimizer": to_plain(self.optimizer.state_dict(), tensors),
                "penalty_weight": None if self.controller is None else self.controller.weight,
                "counts": self.counts,
                "faults": self.policy.faults,
            }
            save_file(tensors, partial / TENSORS)
            (partial / STATE).write_text(json.dumps(state))
            return stage_checkpoints.fill_weights(partial, trained(self.policy.actor.network), already)

        stage_checkpoints.write(self.folder, step, fill)
        self.last = step
