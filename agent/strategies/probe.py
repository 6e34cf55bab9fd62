"""`probe`: tries each candidate for a few steps on a fork of the policy, and chooses the one with the highest value.

Each trial is extrapolated to the whole stage: the gain, the KL up to the cap, the forgetting that follows from the KL,
and the loss on earlier tasks (`perdure.agent.strategies.outlook`). The value of a method is the expected gain less
`forgetting_weight` times the expected losses. If no answer was right before or after any trial, not moving would look
best; then the first candidate that imitates is chosen.

All trials together make at most `share` of the stage's steps (of the method with the fewest). If that is less than
`min_steps` each, only the first candidates are tried, at least two. A trial samples at most `2 num_prompts k` answers,
the first one as many again before it. The forks are discarded, so that the cost is steps and time; the evidence reports
it, and with `trials_count` the stage is shortened by the steps.

All measurements are on training items; held-out items and benchmarks are not used.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from perdure.agent.strategies.contract import Candidate, Decision, Situation, TrialResult
from perdure.agent.strategies.outlook import (
    FORGETTING_PER_NAT,
    EarlierTasks,
    Outlook,
    best,
    outlook,
    share_of_full_rate,
    within_noise,
)
from perdure.agent.worlds.schedule import schedule_of
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import Trying
from perdure.curriculum.train import settings_for


@dataclass(frozen=True)
class TriedCandidate:
    """A candidate after its trial; `outlook` is `None` if the trial broke or the stage would take too long."""

    trial: TrialResult
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
        if is_budget_spent(situation):
            return Decision(situation.methods[0], "no budget remains for trials", {}, all_candidates(situation))
        tried = try_candidates(self._config, situation, situation.methods)
        method, why = self._best(tried, situation)
        return Decision(
            method,
            why,
            trial_costs(tried, situation, situation.methods) | ({RATE: tried[0].trial.before} if tried else {}),
            all_candidates(situation, {one.method: candidate_figures(one) for one in tried}),
            steps_spent=steps_spent(self._config, (one.trial for one in tried)),
        )

    def _best(self, tried: Sequence[TriedCandidate], situation: Situation) -> tuple[str, str]:
        """The method to choose, and the reason."""
        usable = [one for one in tried if one.outlook is not None]
        if not usable:
            why = "the stage is too short for a trial" if not tried else "no trial gave a usable result"
            return situation.methods[0], f"{why}, so the first of the candidates"
        imitator = imitator_without_success(situation.curriculum, usable)
        if imitator is not None:
            return imitator.method, "no answer was right in any trial, so nothing to reinforce: the first that imitates"
        outlooks = [one.outlook for one in usable if one.outlook is not None]
        chosen = best(outlooks)
        return usable[chosen].method, reason(outlooks, chosen, len(tried), usable[chosen].trial.steps)


def imitator_without_success(curriculum: Curriculum, tried: Sequence[TriedCandidate]) -> TriedCandidate | None:
    """The first candidate that imitates, if no answer was right before or after any trial; else `None`."""
    if any(one.trial.before != 0 or one.trial.after != 0 for one in tried):
        return None
    return next((one for one in tried if "demonstrations" in curriculum.method(one.method).needs), None)


def is_budget_spent(situation: Situation) -> bool:
    """True if the stage begins above a cap that ends it."""
    return situation.curriculum.budget.ends_update and not situation.entry.within


def try_candidates(config: Trying, situation: Situation, methods: Sequence[str]) -> list[TriedCandidate]:
    """Run trials of the methods, in order, as far as there are steps for them."""
    steps = int(config.share * min(map(situation.steps, situation.methods)))
    each, count = trial_steps(steps, len(methods), config.min_steps)
    trials = [situation.attempt(method, each, config.num_prompts, config.k) for method in methods[:count]]
    less = steps_spent(config, trials)
    tried = []
    for trial in trials:
        steps = situation.steps(trial.method) - less
        seconds = trial.seconds_a_step * steps
        slow = config.max_seconds is not None and seconds > config.max_seconds
        expected = None if slow else trial_outlook(trial, steps, situation, config.forgetting_weight)
        tried.append(TriedCandidate(trial, expected, seconds))
    return tried


def trial_steps(steps: int, candidates: int, least: int) -> tuple[int, int]:
    """The steps of each trial and the number of candidates tried, given the `steps` of all trials together.

    All are tried if each gets the `least` steps; else as many as get them, but at least two if there are two steps. One
    of several is never tried alone, as there would be nothing to compare it with.
    """
    if steps < min(2, candidates):
        return 0, 0
    each = max(steps // candidates, min(least, steps // min(2, candidates)))
    return each, min(candidates, steps // each)


def steps_spent(config: Trying, trials: Iterable[TrialResult]) -> int:
    """The steps by which the trials shorten the stage."""
    return sum(trial.steps for trial in trials) if config.trials_count else 0


def trial_outlook(trial: TrialResult, steps: int, situation: Situation, weight: float) -> Outlook | None:
    """The outlook of a trial for a stage of `steps` steps; `None` if it broke."""
    return outlook_for(trial, max(1.0, steps * full_rate(situation, trial.method, steps)), situation, weight)


def outlook_for(trial: TrialResult, steps: float, situation: Situation, weight: float) -> Outlook | None:
    """The outlook of a trial for so many steps at its own learning rate; `None` if it broke."""
    if trial.broken:
        return None
    budget = situation.curriculum.budget
    cap = math.inf if budget.enforces("observe") else situation.cap
    return outlook(
        trial,
        steps,
        cap=cap,
        forgetting=forgetting_by(situation),
        weight=weight,
        earlier=learned_earlier(situation, trial),
        levels_off=budget.enforces("penalty"),
    )


RATE = "rate"
"""Key of the evidence: the mean reward on the task's set-aside training items when the stage was decided."""


def learned_earlier(situation: Situation, trial: TrialResult) -> EarlierTasks:
    """The gain on the earlier tasks: their mean reward before the trial less the mean of their journaled `RATE`s.

    A missing rate counts 0. All are measured on training items.
    """
    if trial.kept is None:
        return EarlierTasks()
    rows = (situation.record.row(number) for number in range(1, situation.number))
    rates = [0.0 if row is None else row.evidence.get(RATE) or 0.0 for row in rows]
    return EarlierTasks(len(rates), trial.kept - fmean(rates))


def full_rate(situation: Situation, method: str, steps: int, upto: float = 1.0) -> float:
    """`share_of_full_rate` of a method in a stage of `steps` steps; the schedule may be the world's default."""
    curriculum = situation.curriculum
    settings = settings_for(curriculum.method(method), curriculum.train, situation.stage.train).objective
    extra, default = getattr(settings, "trl", {}), curriculum.spec.default_schedule
    schedule = extra.get("lr_scheduler_type") or schedule_of(settings, default)
    warmup = settings.warmup_steps if settings.warmup_steps is not None else extra.get("warmup_steps", 0.1)
    return share_of_full_rate(schedule, warmup if warmup < 1 else min(1.0, warmup / max(1, steps)), upto)


def forgetting_by(situation: Situation) -> Callable[[float], float]:
    """Forgetting as a function of KL: by the law, if of the KL that the budget counts, else by `FORGETTING_PER_NAT`."""
    law, budget = situation.law, situation.curriculum.budget
    if law is not None and law.counts(budget.unit, budget.prompts):
        return lambda kl: law.predict(kl).value
    return lambda kl: FORGETTING_PER_NAT * kl


def all_candidates(
    situation: Situation, known: Mapping[str, Mapping[str, float | None]] | None = None
) -> tuple[Candidate, ...]:
    """Every method that may be chosen, with its known figures."""
    return tuple(Candidate(method, (known or {}).get(method, {})) for method in situation.methods)


def candidate_figures(tried: TriedCandidate) -> dict[str, float | None]:
    """The journaled figures: gains in mean reward, KL in the budget's unit, forgetting as a fraction."""
    trial = tried.trial
    gain, nats = trial.after - trial.before, trial.kl - trial.kl_before
    seconds = trial.seconds_a_step * trial.steps
    expected = asdict(tried.outlook) if tried.outlook is not None else {}
    return {
        "steps": trial.steps,
        "before": trial.before,
        "gain": gain,
        "gain_stderr": trial.stderr,
        "kl": trial.kl,
        "lost": trial.lost,
        "writer_kl_before": trial.writer_kl_before,
        "writer_kl": trial.writer_kl,
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


def trial_costs(tried: Sequence[TriedCandidate], situation: Situation, methods: Sequence[str]) -> dict[str, object]:
    """The cost of the trials, and those of the `methods` that were not tried or ruled out, as evidence."""
    steps = sum(one.trial.steps for one in tried)
    stage_steps = min(map(situation.steps, situation.methods))
    names = [one.method for one in tried]
    return {
        "trial_steps": steps,
        "trial_share": steps / stage_steps,
        "trial_seconds": sum(one.trial.seconds for one in tried),
        "trial_answers": sum(one.trial.answers for one in tried),
        **not_replayed(tried),
        "untried": [method for method in methods if method not in names],
        "ruled_out": [one.method for one in tried if one.outlook is None],
        "forgetting_by": forgetting_source(situation),
    }


def not_replayed(tried: Iterable[TriedCandidate]) -> dict[str, object]:
    """The number of training items of earlier tasks that no candidate replayed, as evidence; nothing where none."""
    count = max((one.trial.not_replayed for one in tried), default=0)
    return {"not_replayed": count} if count else {}


def forgetting_source(situation: Situation) -> str:
    """The source of `forgetting_by`, in words."""
    law, budget = situation.law, situation.curriculum.budget
    by_law = law is not None and law.counts(budget.unit, budget.prompts)
    return "law" if by_law else f"{FORGETTING_PER_NAT} a nat"


def reason(outlooks: Sequence[Outlook], chosen: int, count: int, steps: int) -> str:
    """The reason in one line; `count` were tried for `steps` steps, and `outlooks` are those of usable trials."""
    top, close = outlooks[chosen], len(within_noise(outlooks)) - 1
    noise = f", {close} of them within noise of it" if close else ""
    how = f"best of {count} tried for {steps} steps{noise}"
    return f"{how}: {expectation(top)}"


def expectation(one: Outlook) -> str:
    """The outlook in words."""
    return f"{one.gain:+.2f} expected at KL {one.kl:.2g} and {one.forgetting + one.lost:.2f} lost elsewhere"
