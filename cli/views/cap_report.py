"""A proposed budget as text: what was tried, what caps are expected to do, and one of them."""

from collections.abc import Iterator

from rich.text import Text

from perdure.agent.planning.caps import CapPlan
from perdure.budget.figures import figure
from perdure.budget.law.saved import Prediction
from perdure.budget.proposal import MOST, Cap, Expected, Point
from perdure.cli.views.format import format_duration, format_estimate, format_points
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.text_table import Form, table
from perdure.curriculum.worlds.nouns import Nouns

POINT_COLUMNS = ("step", "KL", "gain in mean reward")
CAP_COLUMNS = ("budget.kl", "stage 1 may use", "steps until there", "gain in mean reward", "forgetting, points")


def cap_lines(plan: CapPlan, unit: str, nouns: Nouns, symbols: Symbols, form: Form) -> Iterator[Text]:
    """All lines; `unit` is that of the KL."""
    if plan.fault is not None:
        yield Text(clean(f"no budget proposed: {plan.method} on {plan.stage}: {plan.fault}", symbols), style="yellow")
        return
    made = plan.points[-1].step
    tried = f"{made} steps of {plan.method} on {plan.stage} from the base, in {format_duration(plan.seconds)}"
    yield Text(clean(f"what budget? {tried}; KL in {unit}", symbols), style="bold")
    yield from table(POINT_COLUMNS, [_point(one, symbols) for one in plan.points], form, "rrr")
    yield Text("")
    narrow = plan.share >= 1
    rows = [_cap(one, plan, symbols) for one in plan.caps]
    if narrow:
        rows = [(one[0], *one[2:]) for one in rows]
    head = (CAP_COLUMNS[0], *CAP_COLUMNS[2:]) if narrow else CAP_COLUMNS
    yield from table(head, rows, form, "rrrrr", optional=() if narrow else (1,))
    yield from (Text(clean(f"  {line}", symbols), style="dim") for line in _notes(plan, nouns))
    yield Text("")
    yield from _proposal(plan, symbols)


def _proposal(plan: CapPlan, symbols: Symbols) -> Iterator[Text]:
    found = plan.proposal
    assert found is not None, "what was tried has a proposal"
    if found.kl is None:
        yield Text(clean(f"no budget proposed: {found.reason}", symbols), style="yellow")
    else:
        yield Text(clean(f"proposed: budget.kl: {found.kl:g}, {found.reason}", symbols), style="bold")
    yield from (Text(clean(f"  but {line}", symbols), style="yellow") for line in found.warnings)


def _point(one: Point, symbols: Symbols) -> tuple[str, ...]:
    return str(one.step), format_estimate(one.kl, symbols.plus_minus), _signed(one, symbols)


def _signed(one: Point, symbols: Symbols) -> str:
    return f"{'+' if one.gain.value >= 0 else ''}{format_estimate(one.gain, symbols.plus_minus)}"


def _cap(one: Cap, plan: CapPlan, symbols: Symbols) -> tuple[str, ...]:
    gain = one.gain
    shown = "n/a" if gain is None else f"{'+' if gain.value >= 0 else ''}{format_estimate(gain, symbols.plus_minus)}"
    return f"{one.kl:g}", figure(one.stage_kl), _steps(one.steps, plan), shown, _forgetting(one.forgetting)


def _steps(steps: Expected | None, plan: CapPlan) -> str:
    """`12 [11, 14]`, `about 40 [31, 52]` where it is extrapolated, `not in 64 steps`."""
    if steps is None:
        return f"not in {MOST * plan.points[-1].step}"
    high = "?" if steps.high is None else f"{steps.high:.0f}"
    about = "about " if steps.extrapolated else ""
    late = f" of {plan.stage_steps}" if steps.value > plan.stage_steps else ""
    return f"{about}{steps.value:.0f} [{steps.low:.0f}, {high}]{late}"


def _forgetting(found: Prediction | None) -> str:
    if found is None:
        return "n/a"
    value, low, high = map(format_points, (found.value, found.low, found.high))
    return f"{'' if found.inside else 'beyond the law: '}{value} [{low}, {high}]"


def _notes(plan: CapPlan, nouns: Nouns) -> Iterator[str]:
    made = plan.points[-1].step
    yield (
        f"steps: measured up to {made}, between readings linearly; `about` is extrapolated, {MOST} times as far at "
        f"most, by the growth of the last readings, in a range that also holds KL ~ steps and KL ~ "
        f"steps^2; the stage has {plan.stage_steps}"
    )
    yield (
        f"gain: of {plan.points[-1].gain.n} {nouns.prompt}s set aside from training, by sampled {nouns.answer}s, where "
        "that KL was measured; it is not extrapolated"
    )
    if plan.law is not None:
        yield f"forgetting: n/a, since {plan.law}"
    elif plan.level is not None:
        other = "" if plan.other_prompts is None else f"; fitted on KL on prompts `{plan.other_prompts}`, not on these"
        other += "" if plan.other_base is None else f"; fitted on another base ({plan.other_base})"
        yield f"forgetting: by the law, with its {100 * plan.level:.0f} % interval for a checkpoint of a new run{other}"
