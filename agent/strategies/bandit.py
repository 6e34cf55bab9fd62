"""`bandit`: learns over the stages which method pays for which kind of task, by Thompson sampling.

A kind is whether there are demonstrations, and how often the policy as it is succeeds. What a method paid in a stage is
the same value that `probe` predicts, but as it turned out: the gain in the score of the stage's own task, less
`forgetting_weight` times what was lost elsewhere, the drops of the earlier tasks summed up and the mean drop of the
benchmarks, all from the scorecard, a stage before and after.

What is believed of a method in a kind is a normal distribution over its mean value. The first stage of a kind tries the
candidates as `probe` does, and what they promise is the prior; every stage of that kind that was lived since then
updates the posterior of its method. A stage is decided by one draw from each posterior: the highest wins (Thompson,
Biometrika 25, 1933). A method that did well is taken more and more often, one of which little is known now and then.

Everything that is learned stands in the journal, so a life that was killed goes on with what it knew.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from perdure.agent.record import Record, Row
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Candidate, Decision, Situation
from perdure.agent.strategies.probe import Tried, cost_of, figures, spent, try_candidates
from perdure.agent.strategies.sampling import item_means, sampled_evaluation, sampled_rewards, set_aside
from perdure.curriculum.strategies import BanditStrategy

SOME, MUCH = 0.05, 0.5
"""Base rates from which the policy succeeds sometimes, and mostly."""

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
        if len(situation.methods) == 1:
            return Decision(situation.methods[0], "it alone can learn the task")
        if spent(situation):
            return Decision(situation.methods[0], "no budget is left to try anything with")
        kind = kind_of(situation.task.has_demonstrations, self._base_rate(situation))
        first = first_of(situation.record, kind)
        if first is None:
            return self._begin(situation, kind)
        evidence = {"kind": kind}
        return self._draw(situation, priors_of(first), evidence, {})

    def _begin(self, situation: Situation, kind: str) -> Decision:
        tried = try_candidates(self._config, situation)
        priors: dict[str, Belief] = {one.method: prior_of(one) for one in tried if one.outlook is not None}
        evidence = {"kind": kind} | cost_of(tried, situation)
        return self._draw(situation, priors, evidence, {one.method: figures(one) for one in tried})

    def _draw(
        self,
        situation: Situation,
        priors: Mapping[str, Belief],
        evidence: Mapping[str, object],
        known: Mapping[str, Mapping[str, float | None]],
    ) -> Decision:
        kind, weight = str(evidence["kind"]), self._config.forgetting_weight
        arms = [method for method in situation.methods if method in priors]
        if not arms:
            return Decision(situation.methods[0], "no trial came to anything, so the first of the candidates", evidence)
        paid = [(row.method, value) for row, value in payments(situation.record, kind, weight)]
        beliefs = {method: posterior(priors[method], [v for name, v in paid if name == method]) for method in arms}
        drawn = {method: draw(beliefs[method], derive(situation.seed, "draw", method)) for method in arms}
        chosen = max(arms, key=lambda method: drawn[method])
        candidates = tuple(
            Candidate(method, {**known.get(method, {}), **_told(priors[method], beliefs[method], drawn[method])})
            for method in arms
        )
        belief = beliefs[chosen]
        seen = f"{belief.stages} stages" if belief.stages != 1 else "1 stage"
        return Decision(
            chosen,
            f"drawn for tasks with {kind}: {belief.mean:+.2f} ± {belief.sd:.2f} expected after {seen}",
            evidence,
            candidates,
        )

    def _base_rate(self, situation: Situation) -> float:
        """The policy's mean reward on the items that a trial would set aside."""
        config, task = self._config, situation.task
        rewards = sampled_rewards(
            task,
            set_aside(task, config.num_prompts)[1],
            situation.policy,
            sampled_evaluation(situation.curriculum, situation.stage),
            k=config.k,
            seed=derive(situation.seed, "base rate"),
        )
        return fmean(item_means(rewards))


def kind_of(demonstrations: bool, base_rate: float) -> str:
    """One of six kinds of task, as words."""
    rate = "no success yet" if base_rate < SOME else "some success" if base_rate < MUCH else "success mostly"
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


def first_of(record: Record, kind: str) -> Row | None:
    """The first stage of the kind that a bandit decided by trials: it holds the priors."""
    rows = (row for row in record.rows if row.evidence.get("kind") == kind)
    return next((row for row in rows if priors_of(row)), None)


def priors_of(row: Row) -> dict[str, Belief]:
    """The priors that a decision was journaled with, by method."""
    found = {one["method"]: one["figures"] for one in row.candidates}
    return {
        method: Belief(told["prior_mean"], told["prior_sd"]) for method, told in found.items() if "prior_mean" in told
    }


def payments(record: Record, kind: str, weight: float) -> list[tuple[Row, float]]:
    """What each stage of the kind that was committed paid; stages whose scores are not finite are left out."""
    found = []
    for row in record.rows:
        before = record.row(row.stage - 1)
        if row.evidence.get("kind") == kind and row.committed and before is not None:
            value = paid(record, before, row, weight)
            if math.isfinite(value):
                found.append((row, value))
    return found


def paid(record: Record, before: Row, row: Row, weight: float) -> float:
    """The gain on the stage's own task less the weighted losses: of earlier tasks the sum, of benchmarks the mean."""

    def drop(name: str) -> float:
        return before.scores[name].value - row.scores[name].value

    lost = sum(map(drop, record.tasks[: row.stage - 1]))
    forgotten = fmean(map(drop, record.benchmarks)) if record.benchmarks else 0.0
    return -drop(row.name) - weight * (lost + forgotten)


def _told(prior: Belief, belief: Belief, drawn: float) -> dict[str, float | None]:
    return {
        "prior_mean": prior.mean,
        "prior_sd": prior.sd,
        "mean": belief.mean,
        "sd": belief.sd,
        "stages": belief.stages,
        "drawn": drawn,
    }
