"""What happened in a life, in one line each: interventions, decisions, prices."""

import math
import re
from collections.abc import Mapping
from typing import Any

from perdure.agent.run.events import Intervened
from perdure.agent.run.state import StageState
from perdure.budget.figures import figure, format_pair
from perdure.budget.price import StagePrice
from perdure.cli.views.format import estimate, last_reading, percent


def intervention_words(event: Intervened, row: StageState | None = None) -> str:
    """`rolled back to step 40: KL 0.61 above the cap 0.5 nats a token`; `row` is the stage's, and knows the scores."""
    target = event.target
    match event.action:
        case "project":
            return projected_words(event, row)
        case "recover":
            return recovered_words(event, row)
        case "rollback":
            done = f"rolled back to {target}{undoing(event, target)}"
        case "broken":
            done = f"broken, rolled back to {target}{undoing(event, target)}"
        case "stop":
            done = f"stopped at {target}" if target != "no update" else "no update"
    return f"{done}: {event.reason}" if event.reason else done


def projected_words(event: Intervened, row: StageState | None) -> str:
    """`projected to 37 % of the way from step 40 to step 60: KL 0.998 of 1.000 (12 readings)`, and the scores there."""
    cap, kl = format_pair(_cap(row), event.kl)
    of = "" if _cap(row) is None else f" of {cap}"
    start = event.start or "the last state within the cap"
    way = f"projected to {percent(event.share)} of the way from {start} to step {event.step}{undoing(event, start)}"
    words = f"{way}: KL {kl}{of} ({event.readings} readings)"
    if row is None or not all(row.name in row.ends.get(end, {}) for end in ("within", "beyond")):
        return words
    beyond, within = (figure(row.ends[end][row.name].value) for end in ("beyond", "within"))
    return f"{words}; beyond the cap the task scored {beyond}, at {start} {within}"


def undoing(event: Intervened, state: str) -> str:
    """`, which undoes stages 1 to 3` where an intervention went back to a state before the stage's own start.

    One that went only part of the way back `takes back part of stage 3`.
    """
    found = re.fullmatch(r"the base|the end of stage (\d+)", state)
    first, last = int(found.group(1) or 0) + 1 if found else 1, event.stage - 1
    if found is None or first > last:
        return ""
    does = "takes back part of" if event.share else "undoes"
    return f", which {does} stage {last}" if first == last else f", which {does} stages {first} to {last}"


def recovered_words(event: Intervened, row: StageState | None) -> str:
    """`recovered in 15 steps: KL 1.310 to 0.990`, or that it did not come back.

    With a `confidence` it is the upper end of the interval that has to: of journals without `within` the KL decides.
    """
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
    """What the stage was held to."""
    reading = None if row is None else last_reading(row)
    return reading.cap if reading is not None else None


def price_words(price: StagePrice, sign: str = "±") -> str:
    """`base rate 0.800 ± 0.010, target 0.98: at least 0.298 nats an answer; 0.149 needed, 1.000 left`, or a warning."""
    if price.base_rate is None or price.target is None:
        return ""
    start = f"base rate {estimate(price.base_rate, sign)}, target {price.target:g}"
    floor = figure(price.floor)
    if price.floor_interval is not None:
        floor += f" [{', '.join(map(figure, price.floor_interval))}]"
    left, needed = format_pair(price.remaining_kl, price.required_kl)
    need = "what the budget counts of it cannot be told" if price.required_kl is None else f"{needed} needed"
    end = f"WARNING: {price.refusal}" if price.refusal else f"{need}, {left} left"
    return f"{start}: at least {floor} nats an answer; {end}"


def decision_words(row: StageState) -> str:
    """The method, why it was chosen, and what it was chosen from, in one line.

    `tilt: best of 3 tried …; value 0.310 against rl_kl 0.280, sft 0.110; trials of 26 steps, 24 % of the stage's steps,
    which are taken off it, and 1.9 s, 32 % of its seconds`.
    """
    if not row.method:
        return ""
    words = f"{row.method}: {row.reason}" if row.reason else row.method
    return "; ".join(part for part in (words, _candidates_words(row), _trials_words(row)) if part)


RANKED_BY = ("drawn", "value")
"""The figures that strategies rank their candidates by: `bandit` by what it drew, `probe` by the value."""


def _candidates_words(row: StageState) -> str:
    """By the figure that the strategy ranked them by, highest first; else every candidate with all its figures."""
    figures = {one.method: one.figures for one in row.candidates}
    if not figures:
        return ""
    name = next((one for one in RANKED_BY if any(one in known for known in figures.values())), None)
    if name is None:
        return f"candidates: {', '.join(_candidate(*one) for one in figures.items())}"
    values: dict[str, float | None] = {method: known.get(name) for method, known in figures.items()}
    chosen = f"{name} {figure(values.pop(str(row.method), None))}"
    others = sorted(values.items(), key=lambda pair: math.inf if pair[1] is None else -pair[1])
    return (
        f"{chosen} against {', '.join(f'{method} {figure(value)}' for method, value in others)}" if others else chosen
    )


def _candidate(method: str, figures: Mapping[str, Any]) -> str:
    """`tilt (gain 0.420, nats 0.200)`; of `rule`'s only whether it is possible."""
    if set(figures) == {"possible"}:
        return method if figures["possible"] else f"{method} (cannot learn the task)"
    told = ", ".join(f"{str(name).replace('_', ' ')} {figure(value)}" for name, value in figures.items())
    return f"{method} ({told})" if told else method


def _trials_words(row: StageState) -> str:
    """What it cost to try, where anything was tried; as a share of the stage's seconds once these are known."""
    steps, share, seconds = (row.evidence.get(f"trial_{name}") for name in ("steps", "share", "seconds"))
    if not steps:
        return ""
    words = f"trials of {steps} steps, {percent(share)} of the stage's steps"
    words += f", which are taken off it, and {figure(seconds)} s" if row.steps_spent else f", and {figure(seconds)} s"
    return words if not (row.seconds and seconds) else f"{words}, {percent(seconds / row.seconds)} of its seconds"
