"""A plan as text: the price of each stage, the cost of each method, and the run as a whole."""

from collections.abc import Iterator

from rich.text import Text

from perdure.agent.planning.caps import STEPS as PROPOSING_STEPS
from perdure.agent.planning.costs import LifePlan, MethodCost, Span, StagePlan
from perdure.agent.planning.timing import STEPS
from perdure.agent.prices import SAMPLES, rate_interval
from perdure.budget.base_id import at_settings
from perdure.budget.figures import figure, format_pair
from perdure.budget.price import StagePrice
from perdure.cli.views.cap_report import cap_lines
from perdure.cli.views.format import format_duration
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.text_table import Form, table

PRICE_COLUMNS = ("stage", "base rate", "target", "floor", "95 %", "need", "left", "fits", "conflicts")
COST_COLUMNS = ("stage", "method", "steps", "a step", "time", "checkpoint", "memory", "as in")

PROMPT_NAMES = {
    "seen": "{0}s of the tasks seen",
    "task": "the stage's own {0}s",
    "generic": "generic {0}s",
    "both": "{0}s of the tasks seen, or generic {0}s where it is larger",
}


def plan_report(name: str, plan: LifePlan, symbols: Symbols, width: int) -> Iterator[Text]:
    """All lines. Tables wider than `width` omit columns; the terminal wraps other text."""
    budget, form = plan.curriculum.budget, Form(symbols, width)
    count = len(plan.stages)
    facts = (
        name,
        f"{count} stage{'' if count == 1 else 's'}",
        f"at most {budget.kl:g} {_counted(plan)}",
        f"allocation {budget.allocation}",
    )
    yield Text(clean(f" {symbols.dot} ".join(facts), symbols), style="bold")
    yield Text("")
    if not plan.quick:
        yield from _prices(plan, form)
        yield from _refusals(plan, symbols)
        yield Text("")
    yield from _costs(plan, form)
    for stage in plan.stages:
        for cost in stage.methods:
            if cost.fault is not None:
                yield Text(clean(f"{stage.price.name} by {cost.method}: {cost.fault}", symbols), style="yellow")
    yield Text("")
    yield from _whole(plan, symbols)
    yield Text("")
    yield from (Text(clean(line, symbols), style="dim") for line in _notes(plan))
    if plan.proposed is not None:
        yield Text("")
        yield from cap_lines(plan.proposed, _counted(plan), plan.curriculum.spec.nouns, symbols, form)


def format_span(seconds: Span | None) -> str:
    """`2:10`, or `2:10 to 3:40` where methods differ."""
    if seconds is None:
        return "n/a"
    low, high = format_duration(seconds[0]), format_duration(seconds[1])
    return low if low == high else f"{low} to {high}"


def format_bytes(count: float | None) -> str:
    """`3.4 MB`, in powers of a thousand."""
    if count is None:
        return "n/a"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _prices(plan: LifePlan, form: Form) -> Iterator[Text]:
    """A row a stage; the column `conflicts` only where somebody writes for one."""
    shown = len(PRICE_COLUMNS) - all(one.conflicts is None for one in plan.stages)
    rows = [(*_price(one.price), _conflicts(one))[:shown] for one in plan.stages]
    yield from table(PRICE_COLUMNS[:shown], rows, form, "lrrrrrrlr", optional=(4,))


def _conflicts(stage: StagePlan) -> str:
    return "" if stage.conflicts is None else f"{100 * stage.conflicts.value:.1f} %"


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.2f}, {ends[1]:.2f}]"


def _price(price: StagePrice) -> tuple[str, ...]:
    interval = price.floor_interval
    rate = price.base_rate
    left, need = format_pair(price.remaining_kl, price.required_kl)
    return (
        f"{price.stage} {price.name}",
        "n/a" if rate is None else f"{figure(rate.value)} {_interval(rate_interval(rate))}",
        "none" if price.target is None else f"{price.target:g}",
        figure(price.floor),
        "" if interval is None else _interval(interval),
        need,
        left,
        "" if price.target is None else "n/a" if price.required_kl is None else "yes" if price.fits else "NO",
    )


def _refusals(plan: LifePlan, symbols: Symbols) -> Iterator[Text]:
    for price in plan.prices:
        if price.refusal is not None:
            yield Text(clean(f"  {price.refusal}", symbols), style="bold red")
    if all(price.target is None for price in plan.prices):
        hint = "  no target, so no floor: set budget.target_accuracy, or give --target-accuracy 0.9"
        yield Text(hint, style="yellow")


def _costs(plan: LifePlan, form: Form) -> Iterator[Text]:
    """A row for each method of each stage; the column `as in` only where a trial stands in for another stage's."""
    rows = [_cost(stage, cost, index == 0) for stage in plan.stages for index, cost in enumerate(stage.methods)]
    shown = len(COST_COLUMNS) - (not any(row[-1] for row in rows))
    yield from table(COST_COLUMNS[:shown], [row[:shown] for row in rows], form, "llrrrrrl", optional=(5,))


def _cost(stage: StagePlan, cost: MethodCost, first: bool) -> tuple[str, ...]:
    timing, total = cost.timing, None if cost.memory is None else cost.memory.total
    whole = None if cost.seconds is None else cost.seconds + stage.around
    return (
        f"{stage.price.stage} {stage.price.name}" if first else "",
        cost.method,
        "n/a" if timing is None else str(timing.steps),
        "n/a" if timing is None else f"{figure(timing.seconds_a_step)} s",
        format_duration(whole),
        "n/a" if timing is None else format_bytes(timing.checkpoint_bytes) if timing.checkpoint_bytes else "none",
        format_bytes(total),
        "" if cost.as_in is None else cost.as_in,
    )


def _whole(plan: LifePlan, symbols: Symbols) -> Iterator[Text]:
    disk = plan.disk
    kept = f"keep: {plan.curriculum.keep}, so {disk.policies} of {disk.stages} policies of {format_bytes(disk.policy)}"
    parts = f"base {format_bytes(disk.base)}; {kept}"
    on_host = f"; {format_bytes(plan.host_memory)} of the host's for the last good state" if plan.host_memory else ""
    facts = (
        ("time", f"{format_span(plan.seconds)}, of which {format_duration(plan.base_seconds)} with the base"),
        ("disk", f"{format_bytes(disk.kept)} at the end ({parts}), {format_bytes(disk.most)} at most"),
        ("memory", f"{format_bytes(plan.memory)} at most, activations aside{on_host}"),
    )
    chosen = ", ".join(f"{name} {value.removeprefix('torch.')}" for name, value in plan.resolved.items())
    for name, fact in (*facts, ("machine", chosen)):
        yield Text.assemble((f"  {name:<8}", "dim"), clean(fact, symbols))


def _counted(plan: LifePlan) -> str:
    """`nats/token on prompts of the tasks seen`; settings that KL depends on stand behind the unit."""
    budget, nouns = plan.curriculum.budget, plan.curriculum.spec.nouns
    unit = f"nats/{nouns.unit(budget.unit)}{at_settings(plan.base_id)}"
    return f"{unit} on {PROMPT_NAMES[budget.prompts].format(nouns.prompt)}"


def _notes(plan: LifePlan) -> Iterator[str]:
    nouns = plan.curriculum.spec.nouns
    if not plan.quick and any(price.target is not None for price in plan.prices):
        yield (
            f"floor: the least KL, in nats {nouns.an_answer} on the stage's own {nouns.prompt}s, that raises "
            f"the base's rate of right {nouns.answer}s, sampled at temperature 1, to the target (95 %: at the ends of "
            "the rate's interval)"
        )
        if plan.curriculum.evaluation.temperature == 0:
            yield f"the scorecard is greedy (evaluation.temperature: 0): its {nouns.score} can cost less than the floor"
        yield (
            f"need, left: the KL from the base, in {_counted(plan)}, at the end of the stage: the least that keeps all "
            "targets; the most allowed if earlier stages take just theirs"
        )
    if any(one.conflicts is not None for one in plan.stages):
        chosen = nouns.answer if nouns.one_unit else nouns.token
        yield (
            f"conflicts: the share of the writer's {chosen}s that the base finds improbable while it is sure of "
            "others, which imitation overwrites (arXiv 2601.02151)"
        )
    known = [price.base_rate.n for price in plan.prices if price.base_rate is not None]
    rates = f"rates ({SAMPLES} {nouns.answer}s {nouns.to} {min(known)} {nouns.prompt}s each), " if known else ""
    reading = f"a part of a reading (few {nouns.prompt}s)" if plan.quick else "a reading"
    yield (
        f"measured in {format_duration(plan.planning_seconds)}: {rates}{reading}, a batch of every column of the "
        f"scorecard (a quarter where that is slow), {STEPS} steps of each method from the base, file sizes"
    )
    if plan.quick:
        yield "not measured (--quick): base rates, floors, needs, conflicts; disk: texts of few prompts"
    floors = "" if plan.quick else "floors, "
    yield (
        f"computed: {floors}times (all steps, readings and the scorecard; less where the budget ends a stage or fewer "
        "items are asked), memory (weights, gradients, optimiser, copies, last good state on a CPU, largest logits)"
    )
    if plan.proposed is None and plan.proposing_seconds is not None:
        yield (
            f"what budget? --budget proposes one: it trains {PROPOSING_STEPS} steps of the first task, which takes "
            f"about {format_duration(plan.proposing_seconds)}"
        )
