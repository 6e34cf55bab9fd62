"""A plan as text: what each stage costs at least, what each method takes, and the life as a whole."""

from collections.abc import Iterator

from rich.text import Text

from perdure.agent.planning.costs import LifePlan, MethodCost, Span, StagePlan
from perdure.agent.planning.timing import STEPS
from perdure.agent.prices import SAMPLES, rate_interval
from perdure.budget.figures import figure, format_pair
from perdure.budget.price import StagePrice
from perdure.cli.law.text_table import Form, table
from perdure.cli.views.format import duration
from perdure.cli.views.symbols import Glyphs, clean

PRICES = ("stage", "base rate", "target", "floor", "95 %", "need", "left", "fits")
COSTS = ("stage", "method", "steps", "a step", "time", "checkpoint", "memory", "as in")

ON = {"seen": "prompts of the tasks seen", "task": "the stage's own prompts", "generic": "generic prompts"}


def page(name: str, plan: LifePlan, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """All lines. Text that is wider than `width` is left for the terminal to wrap; tables leave columns out."""
    budget, form = plan.curriculum.budget, Form(glyphs, width)
    count = len(plan.stages)
    facts = (
        name,
        f"{count} stage{'' if count == 1 else 's'}",
        f"at most {budget.kl:g} nats/{budget.unit} on {ON[budget.prompts]}",
        f"allocation {budget.allocation}",
    )
    yield Text(clean(f" {glyphs.dot} ".join(facts), glyphs), style="bold")
    yield Text("")
    yield from table(PRICES, [_price(one) for one in plan.prices], form, "lrrrrrrl", optional=(4,))
    yield from _refusals(plan, glyphs)
    yield Text("")
    yield from _costs(plan, form)
    for stage in plan.stages:
        for cost in stage.methods:
            if cost.fault is not None:
                yield Text(clean(f"{stage.price.name} by {cost.method}: {cost.fault}", glyphs), style="yellow")
    yield Text("")
    yield from _whole(plan, glyphs)
    yield Text("")
    yield from (Text(clean(line, glyphs), style="dim") for line in _notes(plan))


def span_words(seconds: Span | None) -> str:
    """`2:10`, or `2:10 to 3:40` where methods differ."""
    if seconds is None:
        return "n/a"
    low, high = duration(seconds[0]), duration(seconds[1])
    return low if low == high else f"{low} to {high}"


def bytes_words(count: float | None) -> str:
    """`3.4 MB`, in powers of a thousand."""
    if count is None:
        return "n/a"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


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


def _refusals(plan: LifePlan, glyphs: Glyphs) -> Iterator[Text]:
    for price in plan.prices:
        if price.refusal is not None:
            yield Text(clean(f"  {price.refusal}", glyphs), style="bold red")
    if all(price.target is None for price in plan.prices):
        words = "  no target, so no floor: set budget.target_accuracy, or give --target-accuracy 0.9"
        yield Text(words, style="yellow")


def _costs(plan: LifePlan, form: Form) -> Iterator[Text]:
    """A line a method and stage; whose trial stands for it is only told where it is another stage's."""
    rows = [_cost(stage, cost, first) for stage in plan.stages for first, cost in _marked(stage)]
    shown = len(COSTS) - (not any(row[-1] for row in rows))
    yield from table(COSTS[:shown], [row[:shown] for row in rows], form, "llrrrrrl", optional=(5,))


def _marked(stage: StagePlan) -> Iterator[tuple[bool, MethodCost]]:
    """Each method, and whether it is the stage's first."""
    return ((index == 0, cost) for index, cost in enumerate(stage.methods))


def _cost(stage: StagePlan, cost: MethodCost, first: bool) -> tuple[str, ...]:
    timing, total = cost.timing, None if cost.memory is None else cost.memory.total
    whole = None if cost.seconds is None else cost.seconds + stage.around
    return (
        f"{stage.price.stage} {stage.price.name}" if first else "",
        cost.method,
        "n/a" if timing is None else str(timing.steps),
        "n/a" if timing is None else f"{figure(timing.seconds_a_step)} s",
        duration(whole),
        "n/a" if timing is None else bytes_words(timing.checkpoint_bytes) if timing.checkpoint_bytes else "none",
        bytes_words(total),
        "" if cost.as_in is None else cost.as_in,
    )


def _whole(plan: LifePlan, glyphs: Glyphs) -> Iterator[Text]:
    disk = plan.disk
    parts = f"base {bytes_words(disk.base)}, each stage {bytes_words(disk.policy)}"
    facts = (
        ("time", f"{span_words(plan.seconds)}, of which {duration(plan.base_seconds)} with the base"),
        ("disk", f"{bytes_words(disk.kept)} at the end ({parts}), {bytes_words(disk.most)} at most"),
        ("memory", f"{bytes_words(plan.memory)} at most, activations aside"),
    )
    for name, words in facts:
        yield Text.assemble((f"  {name:<8}", "dim"), clean(words, glyphs))


def _notes(plan: LifePlan) -> Iterator[str]:
    budget = plan.curriculum.budget
    prompts = min(price.base_rate.n for price in plan.prices if price.base_rate is not None)
    if any(price.target is not None for price in plan.prices):
        yield (
            "floor: the least KL, in nats a whole answer on the stage's own prompts, that takes the base's rate of "
            "right answers, sampled at temperature 1, to the target (95 %: at the ends of the rate's interval)"
        )
        if plan.curriculum.evaluation.temperature == 0:
            yield (
                "the scorecard asks greedily (evaluation.temperature: 0): an accuracy of greedy answers can cost less "
                "than the floor"
            )
        yield (
            f"need, left: the KL from the base, in nats/{budget.unit} on {ON[budget.prompts]}, that the stage ends "
            "with at least if all targets are kept, and at most if no stage before took more than it needs"
        )
    yield (
        f"measured in {duration(plan.planning_seconds)}: rates ({SAMPLES} answers to each of {prompts} prompts), a "
        f"reading, a batch of every column of the scorecard, {STEPS} steps of each method from the base, sizes of files"
    )
    yield (
        "computed: floors, times (all steps, readings and the scorecard; a stage that the budget ends takes less), "
        "memory (weights, gradients, optimiser, copies, largest logits)"
    )
