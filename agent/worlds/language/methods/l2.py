"""SFT held to the weights that the stage began with, all alike.

    L = L_SFT + l2_lambda / 2 · sum_i (θ_i - θ*_i)²

The penalty of L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483) and the baseline of EWC's paper (arXiv 1612.00796),
where θ* are the weights after the task before. Departures: all parameters that are trained have the penalty, where
L2-SP leaves a new head out, and it is a part of the loss, so that AdamW's moments see it.
"""

from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.methods.sft import Fit
from perdure.agent.worlds.language.methods.terms import Quadratic
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.curriculum.settings import L2Train
from perdure.curriculum.task import Task

LAMBDA = 0.01
"""The weight where the settings name none. In the same look as that of `ewc`, 0.1 cost half of the new
task's accuracy: 0.22 at 0.1, 0.32 at 0.01, 0.42 without."""


def update(
    policy: Any,
    task: Task,
    settings: L2Train,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside = ALONE,
) -> Outcome:
    """As `sft` (see `agent/worlds/language/methods/sft.py`), with the penalty."""
    term = Quadratic(policy.model, LAMBDA if settings.l2_lambda is None else settings.l2_lambda)
    return Fit("l2", policy, task, settings, seed, folder, watch, beside).run(terms=[term])
