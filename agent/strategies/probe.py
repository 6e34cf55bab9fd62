"""`probe`: tries each candidate for a few steps on a fork of the policy, and takes the one that promises most.

Of every trial it tells the gain a nat and a second, and what the whole stage would come to by it: the gain, the KL held
to the cap, the forgetting that follows from the KL, and what the earlier tasks of the stream lose
(`perdure.agent.strategies.outlook`). The value of a method is the expected gain less `forgetting_weight` times the
expected losses; the highest is taken, and the reason says how many cannot be told from it. Where no answer was right,
before or after any trial, to stand still would look best: there the first candidate that imitates is taken.

All trials together make at most `share` of the stage's steps, those of the method that has the fewest. Where that is
not `min_steps` each, the first candidates are tried, two at least, and the others are left out. They sample at most
`2 num_prompts k` answers each, and as many again before the first. The forks are thrown away, so that the cost is steps
and time; it stands in the evidence, and with `trials_count` the steps are taken off the stage's own.

What is measured is measured on training items: held-out items and benchmarks play no part in a decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from perdure.agent.strategies.contract import Candidate, Decision, Situation, Trial
from perdure.agent.strategies.outlook import (
    FORGETTING_A_NAT,
    Earlier,
    Outlook,
    best,
    outlook,
    share_of_full_rate,
    within_noise,
)
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import Trying
from perdure.curriculum.train import settings_for


@dataclass(frozen=True)
class Tried:
    """A candidate and what is known of it; no `outlook` where the trial broke or the stage would take too long."""

    trial: Trial
    outlook: Outlook | None
    seconds: float

    @property
    def method(self) -> str:
        return self.trial.method


class Probe:
    """See the module."""

    def __init__(self, config: Trying) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`."""
        if len(situation.methods) == 1:
            return Decision(situation.methods[0], "it alone can learn the task")
        if spent(situation):
            return Decision(
                situation.methods[0], "no budget is left to try anything with", {}, candidates_of(situation)
            )
        tried = try_candidates(self._config, situation, situation.methods)
        method, why = self._best(tried, situation)
        return Decision(
            method,
            why,
            cost_of(tried, situation, situation.methods) | ({RATE: tried[0].trial.before} if tried else {}),
            candidates_of(situation, {one.method: figures(one) for one in tried}),
            steps_spent=steps_spent(self._config, (one.trial for one in tried)),
        )

    def _best(self, tried: Sequence[Tried], situation: Situation) -> tuple[str, str]:
        """The method to choose, and why."""
        usable = [one for one in tried if one.outlook is not None]
        if not usable:
            why = "the stage is too short for a trial" if not tried else "no trial came to anything that may be chosen"
            return situation.methods[0], f"{why}, so the first of the candidates"
        blind = without_success(situation.curriculum, usable)
        if blind is not None:
            return blind.method, "no answer was right in any trial, so nothing to reinforce: the first that imitates"
        outlooks = [one.outlook for one in usable if one.outlook is not None]
        chosen = best(outlooks)
        return usable[chosen].method, reason(outlooks, chosen, len(tried), usable[chosen].trial.steps)


def without_success(curriculum: Curriculum, tried: Sequence[Tried]) -> Tried | None:
    """The first that imitates, where no answer was right before or after any trial and to stand still would look best.

    `None` where an answer was right, and where none of them imitates.
    """
    if any(one.trial.before != 0 or one.trial.after != 0 for one in tried):
        return None
    return next((one for one in tried if "demonstrations" in curriculum.method(one.method).needs), None)


def spent(situation: Situation) -> bool:
    """Whether the stage ends before its first step, since it begins above a cap that ends it."""
    return situation.curriculum.budget.ends_update and not situation.entry.within


def try_candidates(config: Trying, situation: Situation, methods: Sequence[str]) -> list[Tried]:
    """The trials of those of the methods that there are steps for, in their order."""
    steps = int(config.share * min(map(situation.steps, situation.methods)))
    each, count = trial_steps(steps, len(methods), config.min_steps)
    trials = [situation.attempt(method, each, config.num_prompts, config.k) for method in methods[:count]]
    less = steps_spent(config, trials)
    tried = []
    for trial in trials:
        steps = situation.steps(trial.method) - less
        seconds = trial.seconds_a_step * steps
        slow = config.max_seconds is not None and seconds > config.max_seconds
        seen = None if slow else judge(trial, steps, situation, config.forgetting_weight)
        tried.append(Tried(trial, seen, seconds))
    return tried


def trial_steps(steps: int, candidates: int, least: int) -> tuple[int, int]:
    """How long each trial is, and how many of the candidates are tried, with so many `steps` for all of them.

    All are tried where that leaves each the `least` steps; else as many as get them, but two where there are two steps.
    One of several is not tried alone: there is nothing to compare it with.
    """
    if steps < min(2, candidates):
        return 0, 0
    each = max(steps // candidates, min(least, steps // min(2, candidates)))
    return each, min(candidates, steps // each)


def steps_spent(config: Trying, trials: Iterable[Trial]) -> int:
    """The steps that the stage makes less, since the trials made them."""
    return sum(trial.steps for trial in trials) if config.trials_count else 0


def judge(trial: Trial, steps: int, situation: Situation, weight: float) -> Outlook | None:
    """The outlook of a trial in a stage of `steps` steps; `None` where it broke."""
    if not (math.isfinite(trial.after) and math.isfinite(trial.kl)):
        return None
    budget = situation.curriculum.budget
    cap = math.inf if budget.enforces("observe") else situation.cap
    return outlook(
        trial,
        max(1.0, steps * full_rate(situation, trial.method, steps)),
        cap=cap,
        forgetting=forgetting_by(situation),
        weight=weight,
        earlier=learned_earlier(situation, trial),
        levels_off=budget.enforces("penalty"),
    )


RATE = "rate"
"""In the evidence: the mean reward, when a stage is decided, on the task's training items that are set aside."""


def learned_earlier(situation: Situation, trial: Trial) -> Earlier:
    """What was learned of the earlier tasks, all on training items.

    Their mean reward now, as the trial measured it before its first step, less the mean of what was journaled when each
    was decided itself (`RATE`); 0 where nothing was, so that no more can be lost than there is.
    """
    if trial.kept is None:
        return Earlier()
    rows = (situation.record.row(number) for number in range(1, situation.number))
    rates = [0.0 if row is None else row.evidence.get(RATE) or 0.0 for row in rows]
    return Earlier(len(rates), trial.kept - fmean(rates))


def full_rate(situation: Situation, method: str, steps: int) -> float:
    """See `share_of_full_rate`, in a stage of `steps` steps.

    A schedule that the settings leave out is that of the world's defaults.
    """
    curriculum = situation.curriculum
    settings = settings_for(curriculum.method(method), curriculum.train, situation.stage.train).objective
    extra, default = getattr(settings, "trl", {}), curriculum.spec.default_schedule
    schedule = settings.lr_scheduler_type or extra.get("lr_scheduler_type", default)
    warmup = settings.warmup_steps if settings.warmup_steps is not None else extra.get("warmup_steps", 0.1)
    return share_of_full_rate(schedule, warmup if warmup < 1 else min(1.0, warmup / max(1, steps)))


def forgetting_by(situation: Situation) -> Callable[[float], float]:
    """What a KL from the base comes to: by the law, if there is one in the budget's unit, else by the stand-in."""
    law, budget = situation.law, situation.curriculum.budget
    if law is not None and law.unit == budget.unit:
        return lambda kl: law.predict(kl).value
    return lambda kl: FORGETTING_A_NAT * kl


def candidates_of(
    situation: Situation, known: Mapping[str, Mapping[str, float | None]] | None = None
) -> tuple[Candidate, ...]:
    """Every method that might be chosen, with the figures that are known of it, if any are."""
    return tuple(Candidate(method, (known or {}).get(method, {})) for method in situation.methods)


def figures(tried: Tried) -> dict[str, float | None]:
    """What is journaled of a candidate; gains in mean reward, KL in the budget's unit, forgetting as a fraction."""
    trial, seen = tried.trial, tried.outlook
    gain, nats = trial.after - trial.before, trial.kl - trial.kl_before
    seconds = trial.seconds_a_step * trial.steps
    expected = asdict(seen) if seen is not None else {}
    return {
        "steps": trial.steps,
        "before": trial.before,
        "gain": gain,
        "gain_stderr": trial.stderr,
        "kl": trial.kl,
        "lost": trial.lost,
        "gain_per_nat": gain / nats if nats > 0 else None,
        "gain_per_second": gain / seconds if seconds > 0 else None,
        "predicted_gain": expected.get("gain"),
        "predicted_kl": expected.get("kl"),
        "predicted_forgetting": expected.get("forgetting"),
        "predicted_lost": expected.get("lost"),
        "predicted_seconds": tried.seconds,
        "value": expected.get("value"),
        "value_stderr": expected.get("stderr"),
    }


def cost_of(tried: Sequence[Tried], situation: Situation, methods: Sequence[str]) -> dict[str, object]:
    """What the trials took, and who of the `methods` that were to be tried was left out of them."""
    steps = sum(one.trial.steps for one in tried)
    of = min(map(situation.steps, situation.methods))
    names = [one.method for one in tried]
    law, unit = situation.law, situation.curriculum.budget.unit
    return {
        "trial_steps": steps,
        "trial_share": steps / of,
        "trial_seconds": sum(one.trial.seconds for one in tried),
        "trial_answers": sum(one.trial.answers for one in tried),
        "untried": [method for method in methods if method not in names],
        "ruled_out": [one.method for one in tried if one.outlook is None],
        "forgetting_by": "law" if law is not None and law.unit == unit else f"{FORGETTING_A_NAT} a nat",
    }


def reason(outlooks: Sequence[Outlook], chosen: int, count: int, steps: int) -> str:
    """The decision in a line; `count` were tried for `steps` steps, and the outlooks are of those that may be had."""
    seen, close = outlooks[chosen], len(within_noise(outlooks)) - 1
    noise = f", {close} of which cannot be told from it" if close else ""
    how = f"best of {count} tried for {steps} steps{noise}"
    return f"{how}: {seen.gain:+.2f} expected at KL {seen.kl:.2g} and {seen.forgetting + seen.lost:.2f} lost elsewhere"
