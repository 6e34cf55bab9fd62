"""One race, from the first rung to the winner; see `perdure.agent.strategies.race`."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from perdure.agent.strategies.contract import Decision, Forks, Situation, TrialResult
from perdure.agent.strategies.kinds import KIND, task_kind
from perdure.agent.strategies.memory import RUNGS, Difference, Memory, leader
from perdure.agent.strategies.outlook import Outlook, best
from perdure.agent.strategies.probe import (
    RATE,
    TriedCandidate,
    all_candidates,
    candidate_figures,
    expectation,
    forgetting_source,
    full_rate,
    imitator_without_success,
    not_replayed,
    outlook_for,
    reason,
)
from perdure.agent.strategies.rungs import Rungs, survivors
from perdure.curriculum.strategies import RaceStrategy

SETTLED = "settled"
"""Key of the evidence: the candidates that did not start as earlier races have told them apart from the best."""


@dataclass
class RunningRace:
    """One race; `asked` answers were sampled before it, and `turned` says why one with a lower value won."""

    config: RaceStrategy
    situation: Situation
    forks: Forks
    rungs: Rungs
    starters: Sequence[str]
    memory: Memory | None
    asked: int
    turned: str = ""

    def decision(self) -> Decision:
        situation, config, rungs = self.situation, self.config, self.rungs
        tried = self._started()
        running = list(tried)
        told: list[dict[str, object]] = []
        for rung, count in enumerate(rungs.remain, 1):
            if rung > 1:
                tried |= {method: self._advanced(method, rung, tried[method]) for method in running}
            now = [tried[method] for method in running]
            ranked = self._ranked(now, last=rung == len(rungs.remain))
            kept = survivors(ranked, count, self._sorts(ranked)) or running[:1]
            told.append(_rung_figures(rung, now, kept))
            for method in running:
                if method not in kept:
                    self.forks.drop(method)
            running = kept
            if len(running) == 1:
                break
        winner = tried[running[0]]
        losers = [one for one in tried.values() if one is not winner]
        lost = sum(one.trial.steps for one in losers)
        spent = lost if rungs.seconds or not losers else rungs.lost
        return Decision(
            winner.method,
            self._reason(winner, list(tried.values()), len(told)),
            self._evidence(winner, losers, lost) | {RUNGS: told},
            all_candidates(situation, {method: self._figures(method, tried) for method in situation.methods}),
            steps_spent=min(spent, situation.steps(winner.method) - 1) if config.trials_count else 0,
            set_aside=config.num_prompts,
            whole_schedule=config.trials_count and (bool(rungs.seconds) or config.min_gain is not None),
        )

    @property
    def _shorter(self) -> int:
        """The steps by which the stage is shorter, as far as they are known when it begins."""
        return 0 if self.config.min_gain is not None else self.rungs.spent(self.config)

    def _started(self) -> dict[str, TriedCandidate]:
        """The candidates at the first rung: the first in their order alone where it suffices, else all."""
        starters = self.starters[: self.rungs.entrants]
        tried: dict[str, TriedCandidate] = {}
        if self.config.min_gain is not None:
            first = min(starters, key=self.situation.methods.index)
            tried[first] = self._advanced(first, 1, None)
            if self._suffices(tried[first]):
                return tried
        return tried | {method: self._advanced(method, 1, None) for method in starters if method not in tried}

    def _suffices(self, first: TriedCandidate) -> bool:
        """True if what the first candidate is expected to be worth leaves the others no place to start.

        Never where the mean reward is 1 or more: of what is left to gain there is then no share.
        """
        left, least = 1 - first.trial.before, self.config.min_gain
        if least is None or first.outlook is None or first.trial.ended or left <= 0:
            return False
        return first.outlook.value >= least * left

    def _figures(self, method: str, tried: Mapping[str, TriedCandidate]) -> dict[str, float | None]:
        remembered = {} if self.memory is None else self.memory.figures(method)
        return remembered | (candidate_figures(tried[method]) if method in tried else {})

    def _advanced(self, method: str, rung: int, before: TriedCandidate | None) -> TriedCandidate:
        """A candidate at a rung; one that the cap ended stays as it is."""
        if before is not None and before.trial.ended:
            return before
        rungs, spent = self.rungs, self._shorter
        seconds = None
        if rungs.seconds:
            seconds = rungs.seconds[rung - 1] - (rungs.seconds[rung - 2] if rung > 1 else 0.0)
        steps = rungs.steps[rung - 1] if rungs.steps else None
        trial = self.forks.advance(method, rung, spent=spent, steps=steps, seconds=seconds)
        whole = self.situation.steps(method) - spent
        expected = self._expected(trial, whole)
        taken = trial.seconds_a_step * whole
        slow = self.config.max_seconds is not None and taken > self.config.max_seconds
        return TriedCandidate(trial, None if slow else expected, taken)

    def _expected(self, trial: TrialResult, whole: int) -> Outlook | None:
        """The outlook for a stage of `whole` steps; one that the cap ended makes no more.

        Steps count by their learning rates: the stage is as many times the trial as the sum of its rates is.
        """

        def done(steps: float) -> float:
            return max(1e-9, full_rate(self.situation, trial.method, whole, steps / whole))

        made = trial.steps / done(trial.steps)
        middle = trial.midway or trial.steps // 2
        trial = replace(trial, midway=made * done(middle)) if middle else trial
        steps = trial.steps if trial.ended else made * done(whole)
        return outlook_for(trial, steps, self.situation, self.config.forgetting_weight)

    def _ranked(self, now: Sequence[TriedCandidate], *, last: bool) -> list[str]:
        """The usable candidates, best first."""
        usable = [one for one in now if one.outlook is not None]
        if imitator_without_success(self.situation.curriculum, usable) is not None:
            imitating = self._having("demonstrations")
            return sorted((one.method for one in usable), key=lambda method: method not in imitating)
        expected = {one.method: one.outlook for one in usable if one.outlook is not None}
        ranked = []
        while usable:
            outlooks = [_hopeful(one.outlook, last=last) for one in usable if one.outlook is not None]
            ranked.append(usable.pop(best(outlooks)).method)
        if last and len(ranked) > 1:
            first = self._preferred(ranked, expected)
            ranked.sort(key=lambda method: method != first)
        return ranked

    def _preferred(self, ranked: Sequence[str], outlooks: Mapping[str, Outlook]) -> str:
        """The winner of the last rung: the first candidate, in their order, that is not told apart from the best."""

        def difference(one: str, other: str) -> Difference:
            value = outlooks[one].value - outlooks[other].value
            errors = [error for error in (outlooks[one].stderr, outlooks[other].stderr) if error is not None]
            stderr = math.hypot(*errors) if len(errors) == 2 else None
            if self.memory is None:
                return Difference(value, stderr or 0.0, 1)
            return self.memory.weighed(one, other, value, stderr)

        best_one = leader(ranked, difference)
        tied = [one for one in ranked if one == best_one or not difference(best_one, one).is_clear]
        first = min(tied, key=self.situation.methods.index)
        if first != best_one:
            self.turned = "not told apart from the best, and named before it"
        elif first != ranked[0]:
            self.turned = "ahead with earlier races, behind at the last rung"
        return first

    def _sorts(self, ranked: Sequence[str]) -> list[set[str]]:
        """Those that imitate, and those that reinforce."""
        return [self._having(need) & set(ranked) for need in ("demonstrations", "reward")]

    def _having(self, need: str) -> set[str]:
        curriculum = self.situation.curriculum
        return {method for method in self.situation.methods if need in curriculum.method(method).needs}

    def _reason(self, winner: TriedCandidate, tried: Sequence[TriedCandidate], rungs: int) -> str:
        if winner.outlook is None:
            return "no candidate gave a usable result, so the first of them"
        usable = [one for one in tried if one.outlook is not None]
        if imitator_without_success(self.situation.curriculum, usable) is not None:
            return "no answer was right in any candidate, so nothing to reinforce: the first that imitates"
        if len(tried) == 1 and len(self.starters) > 1:
            share = winner.outlook.value / (1 - winner.trial.before)
            return (
                f"worth {share:.0%} of what is left to gain, as expected after {winner.trial.steps} steps, so that no "
                f"other started: {expectation(winner.outlook)}"
            )
        finalists = [one for one in usable if one.trial.steps >= winner.trial.steps]
        outlooks = [one.outlook for one in finalists if one.outlook is not None]
        after = f"after {rungs} rung{'s' if rungs > 1 else ''} and"
        if self.turned:
            return f"{self.turned}, {after} {winner.trial.steps} steps: {expectation(winner.outlook)}"
        words = reason(outlooks, finalists.index(winner), len(tried), winner.trial.steps)
        return words.replace("tried for", after, 1)

    def _evidence(self, winner: TriedCandidate, losers: Sequence[TriedCandidate], lost: int) -> dict[str, object]:
        """The cost of the losers, and of the comparison; the winner's training is the stage's own."""
        situation = self.situation
        own = winner.trial.seconds - winner.trial.seconds_a_step * winner.trial.steps
        started = [winner.method, *(one.method for one in losers)]
        every = [winner, *losers]
        raced = () if self.memory is None else self.memory.raced
        settled = [method for method in raced if method not in self.starters]
        return {
            RATE: winner.trial.before,
            KIND: task_kind(situation.task.has_demonstrations, winner.trial.before),
            "trial_steps": lost,
            "trial_share": lost / min(map(situation.steps, situation.methods)),
            "trial_seconds": own + sum(one.trial.seconds for one in losers),
            "trial_answers": self.asked + sum(one.trial.answers for one in every),
            **not_replayed(every),
            "untried": [method for method in situation.methods if method not in (*started, *settled)],
            SETTLED: settled,
            "ruled_out": [one.method for one in every if one.outlook is None],
            "forgetting_by": forgetting_source(situation),
        }


def _hopeful(outlook: Outlook, *, last: bool) -> Outlook:
    """The outlook by which a candidate is ranked: before the last rung with the value at its upper standard error."""
    return outlook if last else replace(outlook, value=outlook.value + (outlook.stderr or 0.0))


def _rung_figures(rung: int, now: Sequence[TriedCandidate], kept: Collection[str]) -> dict[str, object]:
    """The journaled figures of a rung: who is `kept`, who is `out`, and what was measured of each."""
    figures = {one.method: candidate_figures(one) | {"ended_by_cap": float(one.trial.ended)} for one in now}
    finite = {
        method: {name: value for name, value in row.items() if value is None or math.isfinite(value)}
        for method, row in figures.items()
    }
    out = [one.method for one in now if one.method not in kept]
    return {"rung": rung, "kept": list(kept), "out": out, "figures": finite}
