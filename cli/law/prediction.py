"""Where KL is measured, and the prediction with its interval, in the report of `perdure law`."""

from collections.abc import Iterator

from rich.text import Text

from perdure.agent.law_data.findings import Findings
from perdure.budget.figures import figure
from perdure.budget.law.places import Place
from perdure.budget.law.saved import Coverage, Law
from perdure.cli.law.labels import LAW_LABELS, interval, kl_label, number_of, percent
from perdure.cli.views.format import format_points
from perdure.cli.views.text_table import Form, table

EXAMPLES = (0.05, 0.25, 0.75)
"""Shares of the range of KL at which the report shows a prediction."""


def places_section(findings: Findings, form: Form) -> Iterator[Text]:
    """A law of forward KL on the task, on the generic probe, and of both."""
    yield Text("where KL is measured: one predictor or two, monotone fit", style="bold")
    if not findings.places:
        yield Text("  n/a: the KL on the generic probe is known at too few of these checkpoints")
        return
    seeds = findings.seeds > 1
    head = (
        "predictor",
        form.square,
        "on held-out runs",
        *(["on held-out seeds"] * seeds),
        "on held-out methods",
        "width, points",
        "covered on held-out methods, %",
    )
    rows = [
        (
            LAW_LABELS[place.predictor],
            interval(place.fit.r2),
            interval(place.fit.held_out_runs),
            *([interval(place.fit.held_out_seeds)] * seeds),
            interval(place.fit.held_out_methods),
            "n/a" if place.width is None else format_points(place.width),
            _covered_methods(place),
        )
        for place in findings.places
    ]
    yield from table(head, rows, form, f"ll{'l' * seeds}llrr", optional=(2, 5 + seeds, *([3] * seeds)))
    fit = findings.places[0].fit
    yield Text(f"  on the {number_of(fit.points, 'checkpoint')} of {fit.runs} runs that have both KLs", style="dim")


def _covered_methods(place: Place) -> str:
    found = None if place.law is None else place.law.coverage_methods
    return "n/a" if found is None else format_points(found.covered)


def reliability_section(findings: Findings) -> Iterator[Text]:
    """The coverage of the prediction's interval."""
    yield Text("the prediction and its interval", style="bold")
    law = findings.law
    if law is None:
        yield Text(f"  n/a: {findings.no_law}")
        return
    if law.predictor != "task":
        yield Text(f"  by {LAW_LABELS[law.predictor]} (--predictor {law.predictor})")
    yield Text(f"  fitted between {_range(law, kl_label(findings.points))}; beyond, it says so")
    yield Text(f"  made for {percent(law.level)} of new runs' checkpoints; {_covered(law.coverage, 'held-out runs')}")
    if law.coverage_seeds is not None:
        yield Text(f"  {_covered(law.coverage_seeds, 'runs of a seed that was held out')}")
    if law.coverage_methods is not None:
        yield Text(f"  {_covered(law.coverage_methods, 'runs of a method that was held out')}")
    for share in EXAMPLES:
        kls = _kls(law, share)
        found = law.predict(*kls)
        words = f"{format_points(found.value)} points [{format_points(found.low)}, {format_points(found.high)}]"
        at = " and ".join(map(figure, kls))
        yield Text(f"  at KL {at}: predicted forgetting {words}", style="dim")


def _range(law: Law, unit: str) -> str:
    words = f"{figure(law.kl_min)} and {figure(law.kl_max)} ({unit}{', generic' * (law.predictor == 'generic')})"
    if law.predictor == "both":
        words += f", and {figure(law.kl_generic[0])} and {figure(law.kl_generic[-1])} on the generic probe"
    return words


def _kls(law: Law, share: float) -> tuple[float, ...]:
    """The KL at a share of its range; of a law of both, both at that share of theirs."""
    ranges = [law.kl, *([law.kl_generic] if law.predictor == "both" else [])]
    return tuple(kl[0] + share * (kl[-1] - kl[0]) for kl in ranges)


def _covered(coverage: Coverage, where: str) -> str:
    bounds = ""
    if coverage.low is not None and coverage.high is not None:
        bounds = f" [{format_points(coverage.low)}, {format_points(coverage.high)}]"
    counts = f"{number_of(coverage.points, 'checkpoint')} of {coverage.runs}"
    return f"it covered {format_points(coverage.covered)} %{bounds} of {counts} {where}"
