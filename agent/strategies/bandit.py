"""`bandit`: learns over the stages which method pays for which kind of task, by Thompson sampling.

A kind is whether there are demonstrations, and whether the policy succeeds as it is. What a method paid in a stage is
the same value that `probe` predicts, but as it turned out: the gain on the stage's own task, less `forgetting_weight`
times what was lost elsewhere, the drops of the earlier tasks summed up and the forgetting of what the base could do.

Held-out items and benchmarks play no part in it. Gains and drops are those of mean rewards on training items, the ones
that a trial of the task would set aside. They are measured whenever a stage is decided, and the policy is then as the
stage before left it, so that what a stage paid is known when the next is decided. It is journaled there. The forgetting
is what the curriculum's law, or what stands in for one, expects at the KL that the stage ended with, less what it
expects at the KL that it began with.

What is believed of a method in a kind is a normal distribution over its mean value. The first stage of a kind tries the
candidates as `probe` does, and what they promise is the prior; where it had not the steps for all, the next ones try
the others. Where no answer is right in any trial the first that imitates alone is drawn, as `probe` would take it.
Every stage of that kind that was lived updates the posterior of its method. A stage is decided by one draw from each
posterior: the highest wins (Thompson, Biometrika 25, 1933). A method that did well is taken more and more often, one of
which little is known now and then.

Everything that is learned stands in the journal, so a life that was killed goes on with what it knew.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

from perdure.agent.run.state import RunState, StageState
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision, Situation
from perdure.agent.strategies.probe import (
    RATE,
    Tried,
    candidates_of,
    cost_of,
    figures,
    forgetting_by,
    spent,
    steps_spent,
    try_candidates,
    without_success,
)
from perdure.curriculum.strategies import BanditStrategy

SOME = 0.05
"""Base rate from which there is success to reinforce."""

NOISE = 0.05
"""Standard deviation of what a method pays from one stage of a kind to another, in points of the value."""

DOUBT = 0.05
"""Standard deviation of a promise that has no noise: how far a trial's extrapolation is trusted."""


@dataclass(frozen=True)
class Belief:
    """A normal distribution over the mean value of a method in a kind of task, after `stages` of it."""

    mean: float
    sd: float
    stages: int = 0

    def seen(self, value: float) -> "Belief":
        """The posterior after one more stage: precisions add, and means are weighed by them."""
        before, new = 1 / self.sd**2, 1 / NOISE**2
        mean = (before * self.mean + new * value) / (before + new)
        return Belief(mean, math.sqrt(1 / (before + new)), self.stages + 1)


class Bandit:
    """See the module."""

    def __init__(self, config: BanditStrategy) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`."""
        rates = dict(situation.rates(self._config.num_prompts, self._config.k))
        evidence: dict[str, object] = {RATES: rates, RATE: rates[situation.task.name]}
        before = paid_before(situation, rates, self._config.forgetting_weight)
        evidence |= {} if before is None else {PAID: before}
        methods = situation.methods
        if len(methods) == 1:
            return Decision(methods[0], "it alone can learn the task", evidence)
        if spent(situation):
            why = "no budget is left to try anything with"
            return Decision(methods[0], why, evidence, candidates_of(situation))
        kind = kind_of(situation.task.has_demonstrations, rates[situation.task.name])
        evidence |= {"kind": kind}
        priors = priors_of(situation.record, kind)
        out = ruled_out(situation.record, kind)
        untried = [method for method in methods if method not in priors and method not in out]
        return self._try(situation, untried, priors, evidence) if untried else self._draw(situation, priors, evidence)

    def _try(
        self,
        situation: Situation,
        untried: Sequence[str],
        priors: Mapping[str, Belief],
        evidence: Mapping[str, object],
    ) -> Decision:
        tried = try_candidates(self._config, situation, untried)
        usable = [one for one in tried if one.outlook is not None]
        blind = without_success(situation.curriculum, usable)
        promised = {one.method: prior_of(one) for one in ([blind] if blind is not None else usable)}
        told = {one.method: figures(one) for one in tried}
        evidence = {**evidence, **cost_of(tried, situation, untried)}
        decision = self._draw(situation, {**priors, **promised}, evidence, told)
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
            why = "no trial came to anything, so the first of the candidates"
            return Decision(situation.methods[0], why, evidence, candidates_of(situation, known))
        kind = str(evidence["kind"])
        paid = payments(situation.record, evidence, kind)
        beliefs = {method: posterior(priors[method], [v for name, v in paid if name == method]) for method in arms}
        drawn = {method: draw(beliefs[method], derive(situation.seed, "draw", method)) for method in arms}
        chosen = max(arms, key=lambda method: drawn[method])
        told = {
            method: {**known.get(method, {}), **_told(priors[method], beliefs[method], drawn[method])}
            for method in arms
        }
        belief = beliefs[chosen]
        seen = f"{belief.stages} stages" if belief.stages != 1 else "1 stage"
        return Decision(
            chosen,
            f"drawn for tasks with {kind}: {belief.mean:+.2f} ± {belief.sd:.2f} expected after {seen}",
            evidence,
            candidates_of(situation, {**known, **told}),
        )


RATES, PAID = "rates", "paid"
"""In the evidence: the mean rewards on training items by task, and what the stage before paid, with its parts."""


def kind_of(demonstrations: bool, base_rate: float) -> str:
    """One of four kinds of task, as words: more of them, and a stream is over before anything is known of each."""
    rate = "no success yet" if base_rate < SOME else "some success"
    return f"{'demonstrations' if demonstrations else 'no demonstrations'} and {rate}"


def prior_of(tried: Tried) -> Belief:
    """What a trial promises, and how far that is trusted: its own noise and that of the extrapolation."""
    seen = tried.outlook
    assert seen is not None, "a trial that broke promises nothing"
    return Belief(seen.value, math.hypot(seen.stderr, DOUBT))


def posterior(prior: Belief, values: Sequence[float]) -> Belief:
    """The prior after all that was seen."""
    belief = prior
    for value in values:
        belief = belief.seen(value)
    return belief


def draw(belief: Belief, seed: int) -> float:
    """One draw, repeatable."""
    return Random(seed).gauss(belief.mean, belief.sd)


def priors_of(record: RunState, kind: str) -> dict[str, Belief]:
    """The priors that decisions of the kind were journaled with, by method."""
    found = {one.method: one.figures for row in record.rows if is_of(row, kind) for one in row.candidates}
    return {
        method: Belief(told["prior_mean"], told["prior_sd"]) for method, told in found.items() if "prior_mean" in told
    }


def ruled_out(record: RunState, kind: str) -> set[str]:
    """The candidates whose trial broke or whose stage would have been too slow: they are not tried again."""
    return {method for row in record.rows if is_of(row, kind) for method in row.evidence.get("ruled_out", ())}


def is_of(row: StageState, kind: str) -> bool:
    """Whether a bandit decided the stage as one of the kind."""
    return row.evidence.get("kind") == kind


def payments(record: RunState, evidence: Mapping[str, Any], kind: str) -> list[tuple[str, float]]:
    """The method of each stage of the kind, and what it paid: it stands in the evidence of the next, the last in this.

    A stage is missing where the next was decided without a bandit, where it made no step, and where its KL is not
    finite.
    """
    found = []
    for told in filter(None, [*(row.evidence.get(PAID) for row in record.rows), evidence.get(PAID)]):
        row = record.row(told["stage"])
        if row is not None and row.method is not None and row.evidence.get("kind") == kind:
            found.append((row.method, float(told["value"])))
    return found


def paid_before(situation: Situation, rates: Mapping[str, float], weight: float) -> dict[str, float] | None:
    """What the stage before paid, now that the rates after it are known; `None` where that cannot be told.

    The `value` is the gain on its own task less the weighted sum of what was `lost` of the tasks before it and the
    `forgetting` of what the base could do.
    """
    row = situation.record.row(situation.number - 1)
    began = None if row is None else row.evidence.get(RATES)
    if row is None or not began or not row.steps or not row.readings:
        return None
    entry, end = row.readings[0], row.readings[-1]
    forgetting = forgetting_by(situation)
    gain = rates[row.name] - began[row.name]
    lost = sum(began[name] - rates[name] for name in began if name != row.name)
    if not (math.isfinite(entry.kl.value) and math.isfinite(end.kl.value)):
        return None
    forgotten = forgetting(end.kl.value) - forgetting(entry.kl.value)
    value = gain - weight * (lost + forgotten)
    return {"stage": row.stage, "gain": gain, "lost": lost, "forgetting": forgotten, "value": value}


def _told(prior: Belief, belief: Belief, drawn: float) -> dict[str, float | None]:
    return {
        "prior_mean": prior.mean,
        "prior_sd": prior.sd,
        "mean": belief.mean,
        "sd": belief.sd,
        "stages": belief.stages,
        "drawn": drawn,
    }
