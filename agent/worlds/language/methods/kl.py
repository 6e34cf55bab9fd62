"""The modifier `kl`: a KL term to the original base with a constant weight.

    L + beta · KL(π0 ‖ π)

The KL is forward, base first, exact over the vocabulary, on texts of the base, in the budget's unit: the quantity that
the monitor measures, on other texts. With SFT (the recipe `sft_kl`) it is the supervised twin of the KL term of RL from
human feedback (Ziegler et al., arXiv 1909.08593), which is reverse and on the policy's samples, and of distillation
from the old model on its own outputs (Learning without Forgetting, arXiv 1606.09282), which uses the new task's inputs,
as `budget.prompts: task` does here. `prompts: generic` takes texts of the kind that the generic probe has.
"""

from dataclasses import replace

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.language.methods.terms import groups_of, kl_loss
from perdure.agent.worlds.terms import KlTerm
from perdure.curriculum.worlds.language.settings import LanguageKl

PURPOSE = "sft_kl"
"""The purpose from which its seed is derived; changing it changes results."""


def modify(job: UpdateJob, settings: LanguageKl, changes: Changes) -> Changes:
    """Add the term.

    Raises:
        ConfigError: there are no texts of the base.
    """
    assert settings.beta is not None, "a default stands in the method's row"
    term = KlTerm(kl_loss(job, seed=derive(job.seed, PURPOSE), groups=groups_of(job, settings)), settings.beta)
    return replace(changes, terms=(*changes.terms, term))
