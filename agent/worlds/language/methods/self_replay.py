"""The modifier `self_replay`: the policy imitates texts that the base wrote itself, beside the task.

    L + self_replay_weight · mean over tokens of -ln π(token), tokens written by π0

Self-generated replay is of arXiv 2605.26097, where it nearly removes forgetting as long as the model has room. Its text
could be had in excerpts only. There the base writes from its own training distribution; here it writes on the prompts
of the budget, or as in the paper on none of its own (`prompts: generic`: from neutral openings), once, and the monitor
reads other texts. No earlier task is needed, so that it works at the first stage and with any objective.

The gradient is in expectation that of `kl` on the same texts, by the tokens that were drawn in place of the whole
distribution: it needs no logits of the base. But few texts are learned by heart, and that moves the policy away from
the base: raise `budget.num_prompts`, of which it has as many.
"""

from dataclasses import replace

from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.base_loss import OwnTextsLoss
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.language.methods.terms import groups_of
from perdure.agent.worlds.terms import Backward, Term
from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import SelfReplay


class OwnTexts(Term):
    """`weight` times the negative log-likelihood of the base's own texts, nats a token."""

    def __init__(self, loss: OwnTextsLoss, weight: float) -> None:
        self._loss, self._weight = loss, weight

    def add(self, step: int, backward: Backward) -> Tensor:
        """See `Term.add`."""
        return self._weight * self._loss.backward(step, self._weight, backward)


def modify(job: UpdateJob, settings: SelfReplay, changes: Changes) -> Changes:
    """Add the term.

    Raises:
        ConfigError: there are no texts of the base.
    """
    assert settings.self_replay_weight is not None, "a default stands in the method's row"
    groups = groups_of(job, settings)
    if getattr(job.policy, "base", None) is None or not groups:
        raise ConfigError("`self_replay` needs texts of the base, and none were sampled for this stage")
    loss = job.policy.base.own_texts(groups, num_texts=settings.num_texts, seed=derive(job.seed, "self_replay"))
    return replace(changes, terms=(*changes.terms, OwnTexts(loss, settings.self_replay_weight)))
