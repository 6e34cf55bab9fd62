"""`bandit`: learns over the stages which method is worth most for which kind of task, by Thompson sampling.

The kind of a task is whether it has demonstrations, and whether the policy already succeeds. The value of a method in a
stage is the one that `probe` predicts, as measured afterwards: the gain on the stage's own task, less
`forgetting_weight` times the sum of the drops of earlier tasks and the forgetting of the base's skills.

Gains and drops are those of mean rewards on training items that the stage sets aside: it does not train on those of its
own task, nor replay those of earlier ones, so that what is learned by heart is not paid for. Held-out items and
benchmarks are not used. They are measured when a stage is decided, and again when the next is, which journals the value
of the stage. The forgetting is predicted by the curriculum's law, or its substitute, from the KL at the start and at
the end of the stage.

The belief about a method for a kind of task is a normal distribution over its mean value. The first stage of a kind
tries the candidates as `probe` does, and their outlooks are the priors; if its steps did not suffice for all, later
stages try the others. If no answer is right in any trial, only the first candidate that imitates gets a prior. Every
finished stage of the kind updates the posterior of its method. The next method is the highest of one draw from each
posterior (Thompson, Biometrika 25, 1933).

Everything learned is in the journal, so that a resumed run continues with it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any

from perdure.agent.run.state import RunState
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision, Situation
from perdure.agent.strategies.kinds import KIND, STAGE_SD, task_kind
from perdure.agent.strategies.probe import (
    RATE,
    TriedCandidate,
    all_candidates,
    candidate_figures,
    forgetting_by,
    imitator_without_success,
    is_budget_spent,
    steps_spent,
    trial_costs,
    try_candidates,
)
from perdure.curriculum.strategies import BanditStrategy

EXTRAPOLATION_SD = 0.05
"""Standard deviation of the error of a trial's extrapolation."""


@dataclass(frozen=True)
class Belief:
    """A normal distribution over the mean value of a method for a kind of task, after `stages` of it."""

    mean: float
    sd: float
    stages: int = 0

    def updated(self, value: float) -> "Belief":
        """The posterior after one more stage: precisions add, and means are weighted by them."""
        before, new = 1 / self.sd**2, 1 / STAGE_SD**2
        mean = (before * self.mean + new * value) / (before + new)
        return Belief(mean, math.sqrt(1 / (before + new)), self.stages + 1)


class Bandit:
    """See the module."""

    def __init__(self, config: BanditStrategy) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`."""
        config = self._config
        rate, last = situation.rate(config.num_prompts, config.k), last_stage_value(situation, config)
        evidence: dict[str, object] = {RATE: rate}
        evidence |= {} if last is None else {PAID: last}
        methods = situation.methods
        if len(methods) == 1:
            return Decision(methods[0], "it alone can learn the task", evidence)
        if is_budget_spent(situation):
            return Decision(methods[0], "no budget remains for trials", evidence, all_candidates(situation))
        kind = task_kind(situation.task.has_demonstrations, rate)
        evidence |= {KIND: kind, RATES: dict(situation.rates(config.num_prompts, config.k))}
        priors = journaled_priors(situation.record, kind)
        out = ruled_out(situation.record, kind)
        untried = [method for method in methods if method not in priors and method not in out]
        decide = partial(self._try, situation, untried) if untried else partial(self._draw, situation)
        return replace(decide(priors, evidence), set_aside=config.num_prompts)

    def _try(
        self,
        situation: Situation,
        untried: Sequence[str],
        priors: Mapping[str, Belief],
        evidence: Mapping[str, object],
    ) -> Decision:
        tried = try_candidates(self._config, situation, untried)
        usable = [one for one in tried if one.outlook is not None]
        imitator = imitator_without_success(situation.curriculum, usable)
        new = {one.method: trial_prior(one) for one in ([imitator] if imitator is not None else usable)}
        figures = {one.method: candidate_figures(one) for one in tried}
        evidence = {**evidence, **trial_costs(tried, situation, untried)}
        decision = self._draw(situation, {**priors, **new}, evidence, figures)
        return replace(decision, steps_spent=steps_spent(self._config, (one.trial for one in tried)))

    def _draw(
        self,
        situation: Situation,
        priors: Mapping[str, Belief],
        evidence: Mapping[str, object],
        known: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
    ) -> Decision:
        arms = [method for method in situation.methods if method in priors]
        if not arms:
            why = "no trial gave a usable result, so the first of the candidates"
            return Decision(situation.methods[0], why, evidence, all_candidates(situation, known))
        kind = str(evidence[KIND])
        values = stage_values(situation.record, evidence, kind)
        beliefs = {method: posterior(priors[method], [v for name, v in values if name == method]) for method in arms}
        drawn = {
            method: Random(derive(situation.seed, "draw", method)).gauss(belief.mean, belief.sd)
            for method, belief in beliefs.items()
        }
        chosen = max(arms, key=lambda method: drawn[method])
        figures = {
            method: {**known.get(method, {}), **_belief_figures(priors[method], beliefs[method], drawn[method])}
            for method in arms
        }
        belief = beliefs[chosen]
        stages = f"{belief.stages} stages" if belief.stages != 1 else "1 stage"
        return Decision(
            chosen,
            f"drawn for tasks with {kind}: {belief.mean:+.2f} ± {belief.sd:.2f} expected after {stages}",
            evidence,
            all_candidates(situation, {**known, **figures}),
        )


RATES, PAID = "rates", "paid"
"""Keys of the evidence: the mean rewards on training items by task, and the value of the last stage with its parts."""


def trial_prior(tried: TriedCandidate) -> Belief:
    """The belief after a trial: its outlook, with the noise of the trial and of the extrapolation."""
    expected = tried.outlook
    assert expected is not None, "a broken trial has no outlook"
    return Belief(expected.value, math.hypot(expected.stderr or 0.0, EXTRAPOLATION_SD))


def posterior(prior: Belief, values: Sequence[float]) -> Belief:
    """The belief after all values."""
    belief = prior
    for value in values:
        belief = belief.updated(value)
    return belief


def journaled_priors(record: RunState, kind: str) -> dict[str, Belief]:
    """The priors by method in the journaled decisions of the kind."""
    rows = [row for row in record.rows if row.evidence.get(KIND) == kind]
    found = {one.method: one.figures for row in rows for one in row.candidates}
    return {
        method: Belief(figures["prior_mean"], figures["prior_sd"])
        for method, figures in found.items()
        if "prior_mean" in figures
    }


def ruled_out(record: RunState, kind: str) -> set[str]:
    """The candidates whose trial broke or whose stage would have been too slow: they are not tried again."""
    rows = [row for row in record.rows if row.evidence.get(KIND) == kind]
    return {method for row in rows for method in row.evidence.get("ruled_out", ())}


def stage_values(record: RunState, evidence: Mapping[str, Any], kind: str) -> list[tuple[str, float]]:
    """The method and value of each stage of the kind, from the evidence of the stage after it.

    A stage is missing if the next was decided without a bandit, if it made no step, or if its KL is not finite.
    """
    found = []
    for paid in filter(None, [*(row.evidence.get(PAID) for row in record.rows), evidence.get(PAID)]):
        row = record.row(paid["stage"])
        if row is not None and row.method is not None and row.evidence.get(KIND) == kind:
            found.append((row.method, float(paid["value"])))
    return found


def last_stage_value(situation: Situation, config: BanditStrategy) -> dict[str, float] | None:
    """The value of the last stage and its parts; `None`: unknown, as where it did not set aside what is measured.

    The `value` is the gain on its own task less the weighted sum of `lost`, the drops of the tasks before it, and the
    `forgetting` of the base's skills.
    """
    row = situation.record.row(situation.number - 1)
    began = None if row is None else row.evidence.get(RATES)
    if row is None or not began or not row.set_aside or not row.steps or not row.readings:
        return None
    rates = situation.rates(row.set_aside, config.k, row.stage)
    entry, end = row.readings[0], row.readings[-1]
    forgetting = forgetting_by(situation)
    gain = rates[row.name] - began[row.name]
    lost = sum(began[name] - rates[name] for name in began if name != row.name)
    if not (math.isfinite(entry.kl.value) and math.isfinite(end.kl.value)):
        return None
    forgotten = forgetting(end.kl.value) - forgetting(entry.kl.value)
    value = gain - config.forgetting_weight * (lost + forgotten)
    return {"stage": row.stage, "gain": gain, "lost": lost, "forgetting": forgotten, "value": value}


def _belief_figures(prior: Belief, belief: Belief, drawn: float) -> dict[str, float | None]:
    return {
        "prior_mean": prior.mean,
        "prior_sd": prior.sd,
        "mean": belief.mean,
        "sd": belief.sd,
        "stages": belief.stages,
        "drawn": drawn,
    }
