"""`probe`: tries each candidate for a few steps on a fork of the policy, and takes the one that promises most.

Of every trial it tells the gain a nat and a second, and what the whole stage would come to by it: the gain, the KL held
to the cap, the forgetting that follows from the KL, and what the earlier tasks of the stream lose
(`perdure.agent.strategies.outlook`). The value of a method is the expected gain less `forgetting_weight` times the
expected losses; of methods whose values differ by no more than their noise the one that moves least is taken.

All trials together make at most `share` of the stage's steps, those of the method that has the fewest. Where that is
not one step each, the first candidates are tried and the others are left out. The forks are thrown away, so that the
cost is time; it stands in the evidence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from perdure.agent.strategies.contract import Candidate, Decision, Situation, Trial
from perdure.agent.strategies.outlook import FORGETTING_A_NAT, Earlier, Outlook, best, outlook, share_of_full_rate
from perdure.curriculum.methods import Method
from perdure.curriculum.strategies import Trying
from perdure.curriculum.train import settings_for


@dataclass(frozen=True)
class Tried:
    """A candidate and what is known of it; no `outlook` where the trial broke or the stage would take too long."""

    trial: Trial
    outlook: Outlook | None
    seconds: float

    @property
    def method(self) -> Method:
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
            return Decision(situation.methods[0], "no budget is left to try anything with")
        tried = try_candidates(self._config, situation)
        usable = [one for one in tried if one.outlook is not None]
        evidence = cost_of(tried, situation)
        candidates = tuple(Candidate(one.method, figures(one)) for one in tried)
        if not usable:
            why = "the stage is too short for a trial" if not tried else "no trial came to anything that may be chosen"
            return Decision(situation.methods[0], f"{why}, so the first of the candidates", evidence, candidates)
        chosen = usable[best([one.outlook for one in usable if one.outlook is not None])]
        return Decision(chosen.method, reason(chosen, len(tried)), evidence, candidates)


def spent(situation: Situation) -> bool:
    """Whether the stage ends before its first step, since it begins above a cap that ends it."""
    enforces = situation.curriculum.budget.enforces
    ends = enforces("stop") or (enforces("rollback") and not enforces("penalty") and not enforces("recover"))
    return ends and not situation.entry.within


def try_candidates(config: Trying, situation: Situation) -> list[Tried]:
    """The trials of all candidates that there are steps for, in their order."""
    methods = situation.methods
    count = int(config.share * min(map(situation.steps, methods)))
    each = max(1, count // len(methods))
    forgetting = forgetting_by(situation)
    tried = []
    for method in methods[: count // each]:
        trial = situation.attempt(method, each, config.num_prompts, config.k)
        seconds = trial.seconds_a_step * situation.steps(method)
        seen = judge(trial, situation, forgetting, config.forgetting_weight)
        slow = config.max_seconds is not None and seconds > config.max_seconds
        tried.append(Tried(trial, None if slow else seen, seconds))
    return tried


def judge(trial: Trial, situation: Situation, forgetting: Callable[[float], float], weight: float) -> Outlook | None:
    """The outlook of a trial; `None` where it broke."""
    if not (math.isfinite(trial.after) and math.isfinite(trial.kl)):
        return None
    budget = situation.curriculum.budget
    cap = math.inf if budget.enforces("observe") else situation.cap
    steps = max(1.0, situation.steps(trial.method) * full_rate(situation, trial.method))
    return outlook(
        trial,
        steps,
        cap=cap,
        forgetting=forgetting,
        weight=weight,
        earlier=learned_earlier(situation),
        levels_off=budget.enforces("penalty"),
    )


def learned_earlier(situation: Situation) -> Earlier:
    """What the scorecard says was learned of the earlier tasks since the base; nothing where it does not say."""
    record, names = situation.record, situation.record.tasks[: situation.number - 1]
    base, now = record.row(0), record.row(situation.number - 1)
    if base is None or now is None or not names:
        return Earlier()
    rises = [now.scores[name].value - base.scores[name].value for name in names]
    return Earlier(len(names), fmean(one if math.isfinite(one) else 0.0 for one in rises))


def full_rate(situation: Situation, method: Method) -> float:
    """See `share_of_full_rate`; a schedule that the settings leave out is that of the world's defaults."""
    settings = settings_for(method, situation.curriculum.train, situation.stage.train)
    extra = getattr(settings, "trl", {})
    default = "constant" if situation.curriculum.world == "vision" else "constant_with_warmup"
    schedule = settings.lr_scheduler_type or extra.get("lr_scheduler_type", default)
    warmup = settings.warmup_steps if settings.warmup_steps is not None else extra.get("warmup_steps", 0.1)
    return share_of_full_rate(schedule, warmup if warmup < 1 else min(1.0, warmup / situation.steps(method)))


def forgetting_by(situation: Situation) -> Callable[[float], float]:
    """What a KL from the base comes to: by the law, if there is one in the budget's unit, else by the stand-in."""
    law, budget = situation.law, situation.curriculum.budget
    if law is not None and law.unit == budget.unit:
        return lambda kl: law.predict(kl).value
    return lambda kl: FORGETTING_A_NAT * kl


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


def cost_of(tried: Sequence[Tried], situation: Situation) -> dict[str, object]:
    """What the trials took, and who was left out of them."""
    steps = sum(one.trial.steps for one in tried)
    of = min(map(situation.steps, situation.methods))
    names = [one.method for one in tried]
    law, unit = situation.law, situation.curriculum.budget.unit
    return {
        "trial_steps": steps,
        "trial_share": steps / of,
        "trial_seconds": sum(one.trial.seconds for one in tried),
        "untried": [method for method in situation.methods if method not in names],
        "ruled_out": [one.method for one in tried if one.outlook is None],
        "forgetting_by": "law" if law is not None and law.unit == unit else f"{FORGETTING_A_NAT} a nat",
    }


def reason(chosen: Tried, count: int) -> str:
    """The decision in a line."""
    seen = chosen.outlook
    assert seen is not None, "only what may be chosen is explained"
    return (
        f"best of {count} tried for {chosen.trial.steps} steps: {seen.gain:+.2f} expected at KL {seen.kl:.2g} and "
        f"{seen.forgetting + seen.lost:.2f} lost elsewhere"
    )
