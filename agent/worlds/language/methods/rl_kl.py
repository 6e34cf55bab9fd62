"""`rl` with TRL's KL term to the original base: `beta` is 0.1 unless it is given (docs/theory.md shows what it mends).

The term is the k3 estimate on the policy's own samples, differentiated as a loss, so that its gradient is that of the
forward KL on those prompts. Memory: with a LoRA adapter that of `rl`, the base being the
model with its adapter off; else a second copy of the model (2 bytes a weight in bfloat16, 4 in float32).
"""

from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.methods.rl import RlTrainer, train
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.curriculum.settings import RlKlTrain
from perdure.curriculum.task import Task


def update(
    policy: Any, task: Task, settings: RlKlTrain, *, seed: int, folder: Path, watch: Watch, beside: Beside = ALONE
) -> Outcome:
    """See `perdure.agent.worlds.language.methods.rl.update`; the default of `beta` aside it is the same."""
    return train("rl_kl", RlTrainer, policy, task, settings, seed=seed, folder=folder, watch=watch, beside=beside)
