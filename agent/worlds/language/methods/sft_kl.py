"""SFT held near the original base by a KL term of constant weight.

    L = L_SFT + beta · KL(π0 ‖ π)

The KL is forward, base first, exact over the vocabulary, on texts of the base, in the budget's unit: the very quantity
that the monitor reads, on other texts. It is the supervised twin of the KL term of RL from human feedback (Ziegler et
al., arXiv 1909.08593), which is reverse and on the policy's samples, and of distillation from the old model on its own
outputs (Learning without Forgetting, arXiv 1606.09282), which takes the new task's inputs, as `budget.prompts: task`
does here.
"""

from pathlib import Path
from typing import Any

from perdure.agent.seeds import derive
from perdure.agent.worlds.language.methods.sft import Fit
from perdure.agent.worlds.language.methods.terms import KlTerm, kl_loss
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.curriculum.settings import SftKlTrain
from perdure.curriculum.task import Task

BETA = 0.1
"""The weight where the settings name none."""


def update(
    policy: Any,
    task: Task,
    settings: SftKlTrain,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside = ALONE,
) -> Outcome:
    """As `sft` (see `agent/worlds/language/methods/sft.py`), with the term.

    Raises:
        ConfigError: there are no texts of the base.
    """
    beta = BETA if settings.beta is None else settings.beta
    terms = [KlTerm(kl_loss(policy, beside, seed=derive(seed, "sft_kl")), beta)]
    return Fit("sft_kl", policy, task, settings, seed, folder, watch, beside).run(terms=terms)
