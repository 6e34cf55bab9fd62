"""SFT at a fraction of the learning rate: the baseline that a comparison of SFT with RL must not leave out.

A small rate removes much of what SFT forgets (arXiv 2509.20758, 2609.35259). The rate is `learning_rate_share` of what
`sft` would have here, so that one file says both, or that of the method's own section; nothing else differs. Departure:
that it is a share, and a tenth by default, is this program's choice and not the papers'.
"""

from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.methods.sft import Fit
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.curriculum.settings import LowLrSftTrain
from perdure.curriculum.task import Task


def update(
    policy: Any,
    task: Task,
    settings: LowLrSftTrain,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside = ALONE,
) -> Outcome:
    """As `sft` (see `sft.py`); the share is taken where the settings are merged, or become TRL's."""
    return Fit("low_lr_sft", policy, task, settings, seed, folder, watch, beside).run()
