"""Interventions, decisions and prices, in one line each."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from perdure.agent.run.events import Intervened, Unscored
from perdure.agent.run.percent import format_change, format_score, in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure, format_pair
from perdure.budget.price import StagePrice
from perdure.cli.views.format import USUAL, format_estimate, format_percent, last_reading
from perdure.curriculum.worlds.nouns import Nouns


def describe_intervention(event: Intervened, row: StageState | None = None) -> str:
    """`rolled back to step 40: KL 0.61 above the cap 0.5 nats a token`; `row`, the stage's, has the scores."""
    target = event.target
    match event.action:
        case "project":
            return _projection(event, row)
        case "recover":
            return _recovery(event, row)
        case "average":
            done = f"averaged to {target} at KL {figure(event.kl_beyond)}{describe_undone(event, event.start or '')}"
        case "rollback":
            done = f"rolled back to {target}{describe_undone(event, target)}"
        case "broken":
            done = f"broken, rolled back to {target}{describe_undone(event, target)}"
        case "stop":
            done = f"stopped at {target}" if target != "no update" else "no update"
    return f"{done}: {event.reason}" if event.reason else done


def describe_truncated(row: StageState) -> str:
    """`cut off at evaluation.max_completion_length: 9 of 10 answers to 'sums', 5 of 10 answers to 'words'`."""
    told = ", ".join(f"{one.truncated} of {one.n} answers to {name!r}" for name, one in row.truncated.items())
    return told and f"cut off at evaluation.max_completion_length: {told}"


def describe_asked(record: RunState, row: StageState) -> str:
    """`~ asked in part: 64 of 500 items of 'sums' (change over all from -4.1 to +3.9 points)`."""
    told = ", ".join(
        f"{asked.n} of {asked.of} items of {name!r} (change over all from "
        f"{format_score(asked.low, percent, signed=True)} to {format_change(asked.high, percent)})"
        for name, asked in row.asked.items()
        for percent in (in_percent(record, [name]),)
    )
    return told and f"~ asked in part: {told}"


def describe_groups(record: RunState) -> str:
    """`'mmlu': the mean of the means of its tasks; …`, nothing where no group is scored so."""
    names = dict.fromkeys(name for row in record.rows for name in row.by_member)
    told = ", ".join(map(repr, names))
    return told and f"{told}: the mean of the means of its tasks; the paired test is over their items, weighed so"


def describe_unscored(event: Unscored, nouns: Nouns = USUAL) -> str:
    """`3 answers to 'sums' counted 0 in training: 2 too slow, 1 crashed`."""
    count = sum(event.answers.values())
    why = ", ".join(f"{number} {reason}" for reason, number in event.answers.items())
    phase = "in training" if event.phase == "learning" else "when it was scored"
    answers = f"{nouns.answer}{'s' if count > 1 else ''}"
    return f"{count} {answers} {nouns.to} {event.task!r} counted 0 {phase}: {why}"


def _projection(event: Intervened, row: StageState | None) -> str:
    """`projected to 37 % of the way from step 40 to step 60: KL 0.998 of 1.000 (12 readings)`, and the scores there."""
    cap, kl = format_pair(_cap(row), event.kl)
    of = "" if _cap(row) is None else f" of {cap}"
    start = event.start or "the last state within the cap"
    share = f"projected to {format_percent(event.share)} of the way"
    way = f"{share} from {start} to step {event.step}{describe_undone(event, start)}"
    words = f"{way}: KL {kl}{of} ({event.readings} readings)"
    if row is None or not all(row.name in row.ends.get(end, {}) for end in ("within", "beyond")):
        return words
    beyond, within = (figure(row.ends[end][row.name].value) for end in ("beyond", "within"))
    return f"{words}; beyond the cap the task scored {beyond}, at {start} {within}"


def describe_undone(event: Intervened, state: str) -> str:
    """`, which undoes stages 1 to 3`, or part of one, where an intervention went back to before its own stage."""
    found = re.fullmatch(r"the base|the end of stage (\d+)", state)
    first, last = int(found.group(1) or 0) + 1 if found else 1, event.stage - 1
    if found is None or first > last:
        return ""
    does = "undoes part of" if event.share else "undoes"
    return f", which {does} stage {last}" if first == last else f", which {does} stages {first} to {last}"


def _recovery(event: Intervened, row: StageState | None) -> str:
    """`recovered in 15 steps: KL 1.310 to 0.990`, or not; the KL decides in journals without `within`."""
    steps, before, after = event.steps, event.kl_before, event.kl_after
    cap = _cap(row)
    _, start, end = format_pair(cap, before, after)
    way = f"KL {start} to {end}"
    if event.undone:
        return f"{steps} steps of distillation from the base undone: {way}"
    below = cap is not None and after is not None and after <= cap
    if event.within or (event.within is None and (below or cap is None)):
        return f"recovered in {steps} steps: {way}"
    what = ", the upper end of its interval" if below else ","
    return f"{steps} steps of distillation from the base: {way}{what} still above the cap"


def _cap(row: StageState | None) -> float | None:
    """The stage's cap."""
    reading = None if row is None else last_reading(row)
    return reading.cap if reading is not None else None


def describe_price(price: StagePrice, sign: str = "±", nouns: Nouns = USUAL) -> str:
    """`base rate 0.8 ± 0.01, target 0.98: at least 0.298 nats an answer; 0.149 needed, 1.000 remaining`."""
    if price.base_rate is None or price.target is None:
        return ""
    start = f"base rate {format_estimate(price.base_rate, sign)}, target {price.target:g}"
    floor = figure(price.floor)
    if price.floor_interval is not None:
        floor += f" [{', '.join(map(figure, price.floor_interval))}]"
    remaining, needed = format_pair(price.remaining_kl, price.required_kl)
    need = "the need in the budget's KL is not known" if price.required_kl is None else f"{needed} needed"
    end = f"WARNING: {price.refusal}" if price.refusal else f"{need}, {remaining} remaining"
    return f"{start}: at least {floor} nats {nouns.an_answer}; {end}"


def describe_decision(row: StageState) -> str:
    """The method, the reason, the candidates and the cost of trials, in one line.

    `tilt: best of 3 tried …; value 0.310 against rl_kl 0.280, sft 0.110; trials of 26 steps, 24 % of the stage's steps
    (deducted), and 1.9 s, 32 % of its seconds`.
    """
    if not row.method:
        return ""
    words = f"{row.method}: {row.reason}" if row.reason else row.method
    return "; ".join(part for part in (words, _candidates(row), *_rungs(row), _trials(row)) if part)


RANKING_FIGURES = ("drawn", "value", "chance")
"""The figures that rank candidates: `bandit` by its draw, trials by the value, a race not run by `chance`."""


def _candidates(row: StageState) -> str:
    """The candidates by the figure that ranks them, highest first; without one, each with all its figures."""
    figures = {one.method: one.figures for one in row.candidates}
    if not figures:
        return ""
    name = next((one for one in RANKING_FIGURES if any(one in known for known in figures.values())), None)
    if name is None:
        return f"candidates: {', '.join(_candidate(*one) for one in figures.items())}"
    values: dict[str, float | None] = {method: known.get(name) for method, known in figures.items()}
    chosen = f"{name} {figure(values.pop(str(row.method), None))}"
    others = sorted(values.items(), key=lambda pair: math.inf if pair[1] is None else -pair[1])
    return (
        f"{chosen} against {', '.join(f'{method} {figure(value)}' for method, value in others)}" if others else chosen
    )


def _candidate(method: str, figures: Mapping[str, Any]) -> str:
    """`tilt (gain 0.420, nats 0.200)`; `rule` only knows whether a candidate is possible."""
    if set(figures) == {"possible"}:
        return method if figures["possible"] else f"{method} (cannot learn the task)"
    listed = ", ".join(f"{str(name).replace('_', ' ')} {figure(value)}" for name, value in figures.items())
    return f"{method} ({listed})" if listed else method


def _rungs(row: StageState) -> list[str]:
    """`rung 1 after 6 steps: sft 0.310 ± 0.02, rl 0.210 ± 0.01 (out: tilt 0.120 ± 0.03)`, of each rung of a race."""
    told = []
    for rung in row.evidence.get("rungs", ()):
        kept, out = (", ".join(_at_rung(name, rung["figures"][name]) for name in rung[who]) for who in ("kept", "out"))
        steps = max(one["steps"] for one in rung["figures"].values())
        told.append(f"rung {rung['rung']} after {steps} steps: {kept}{f' (out: {out})' if out else ''}")
    return told


def _at_rung(method: str, figures: Mapping[str, Any]) -> str:
    value, stderr = figures.get("value"), figures.get("value_stderr")
    ended = ", ended by the cap" if figures.get("ended_by_cap") else ""
    return f"{method} {figure(value)}{f' ± {figure(stderr)}' if stderr else ''}{ended}"


def _trials(row: StageState) -> str:
    """The cost of trials; also as a share of the stage's seconds, once these are known."""
    steps, share, seconds = (row.evidence.get(f"trial_{name}") for name in ("steps", "share", "seconds"))
    if not steps:
        return ""
    what = "what the losers of the race took:" if "rungs" in row.evidence else "trials of"
    words = f"{what} {steps} steps, {format_percent(share)} of the stage's steps"
    words += f"{' (deducted)' if row.steps_spent else ''}, and {figure(seconds)} s"
    of_seconds = f", {format_percent(seconds / row.seconds)} of its seconds" if row.seconds and seconds else ""
    return words + of_seconds


def describe_resumed(edited: Sequence[str], differs: Sequence[str]) -> list[str]:
    """What was other at a resume than at the beginning: own code, and machine or Python; often nothing."""
    found = [f"with code that was edited since the run began: {', '.join(edited)}"] if edited else []
    machine = f"where the same weights to the bit are not promised ({'; '.join(differs)})"
    return [*found, machine] if differs else found
