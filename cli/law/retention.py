"""Retention at equal accuracy and KL above the floor, by method, in the report of `perdure law`."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from perdure.agent.law_data.findings import ACCURACY_WINDOW, Findings, best_method, rank_methods
from perdure.budget.law.floor import MethodExcess
from perdure.budget.law.frontier import RetentionAt
from perdure.cli.law.labels import fixed, interval, interval_points, percent
from perdure.cli.views.symbols import clean
from perdure.cli.views.text_table import Form, TableRow, table

SEED_COLUMNS = ("less the best", "seeds")
EXCESS_COLUMNS = ("KL", "floor", "excess over it")


def retention_section(findings: Findings, accuracy: float, form: Form) -> Iterator[Text]:
    """The retention of every method at an accuracy, the best first, and the KL it spent to get there."""
    at = findings.accuracies.index(accuracy)
    what = "change of the benchmarks" if findings.base_score is None else "kept on the benchmarks"
    yield Text(f"{what}, points, at {percent(accuracy)} on the new task", style="bold")
    found = rank_methods(findings.retention, accuracy)
    if not any(one.reached for one in found):
        yield Text("  n/a: no checkpoint reaches it")
        return
    spent = {one.method: one for one in findings.excess_at[at]}
    best = best_method(found)
    has_excess, seeds = _is_known(findings.excess_at[at]), findings.seeds > 1
    head = (
        "method",
        "exponential fit",
        "best checkpoint",
        *(SEED_COLUMNS if seeds else ()),
        *(EXCESS_COLUMNS if has_excess else ()),
    )
    rows = [
        (
            one.method,
            interval_points(one.exponential),
            interval_points(one.best),
            *(_seed_cells(one, best, findings.behind[at].get(one.method)) if seeds else ()),
            *(_excess_cells(spent[one.method]) if has_excess else ()),
        )
        for one in found
    ]
    first = len(head) - len(EXCESS_COLUMNS)
    yield from table(head, rows, form, "l" * len(head), optional=(first + 1, first) if has_excess else ())
    if seeds:
        yield Text("  means over the seeds that reach it, two at least", style="dim")
        by = "the exponential fit" if best.exponential.value is not None else "the best checkpoint"
        note = f"less the best: by {by}, less {best.method}, first of those that the most seeds reach, in each seed"
        yield Text(clean(f"  {note}", form.symbols), style="dim")
    if has_excess:
        band = f"{percent(accuracy)} to {percent(accuracy + ACCURACY_WINDOW)}"
        yield Text(f"  KL, floor and excess: nats, mean over the checkpoints of {band}", style="dim")


def _seed_cells(one: RetentionAt, best: RetentionAt, behind: RetentionAt | None) -> TableRow:
    """The retention less that of the best method, by the fit that ranks the best; and the number of seeds."""
    by = None if behind is None else behind.best if best.exponential.value is None else behind.exponential
    return "" if by is None else interval_points(by), f"{one.reached} of {one.seeds}"


def excess_section(findings: Findings, form: Form) -> Iterator[Text]:
    """The KL of every method above the least KL for its rate of right answers."""
    yield Text("KL above its floor, nats, mean over all checkpoints", style="bold")
    if not _is_known(findings.excess):
        yield Text("  n/a: the probability of success is not known for these checkpoints")
        return
    head = ("method", "checkpoints", "runs", *EXCESS_COLUMNS)
    rows = [(one.method, str(one.points), str(one.runs), *_excess_cells(one)) for one in findings.excess]
    yield from table(head, rows, form, "lrrlll")


def _is_known(found: Sequence[MethodExcess]) -> bool:
    return any(one.excess.value is not None for one in found)


def _excess_cells(one: MethodExcess) -> TableRow:
    return fixed(one.kl.value), fixed(one.floor.value), interval(one.excess)
