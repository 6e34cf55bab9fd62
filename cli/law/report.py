"""The report of `perdure law` as lines of text."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from perdure.agent.law_data.findings import Findings
from perdure.budget.figures import figure
from perdure.budget.law.points import FORWARD_KL
from perdure.budget.law.resample import Interval
from perdure.budget.law.rivals import Rival, Standing, verdict
from perdure.cli.law.labels import PLACES, fixed, interval, interval_points, kl_label, number_of, predictor_label
from perdure.cli.law.prediction import places_section, reliability_section
from perdure.cli.law.retention import excess_section, retention_section
from perdure.cli.views.format import format_points
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.text_table import Form, TableRow, table

RANKING_FIT = "quadratic"
"""The fit whose R² ranks predictors."""


def law_report(findings: Findings, form: Form, plot: Sequence[Text] = ()) -> list[Text]:
    """All sections; `plot` stands below the curves."""
    sections = [
        [*_about(findings, form.symbols)],
        [*_curves(findings, form), *([Text(""), *plot] if plot else [])],
        [*_predictors(findings, form)],
        [*_methods(findings, form)],
        [*places_section(findings, form)],
        [*reliability_section(findings)],
        *([*retention_section(findings, accuracy, form)] for accuracy in findings.accuracies),
        [*excess_section(findings, form)],
    ]
    return [line for section in sections for line in (*section, Text(""))][:-1]


def _about(findings: Findings, symbols: Symbols) -> Iterator[Text]:
    """The pooled data."""
    found, names = findings.points, findings.methods
    counts = f"{number_of(len(found), 'checkpoint')} of {number_of(findings.runs, 'run')} and "
    counts += number_of(len(names), "method")
    counts += f" in {findings.seeds} seeds" if findings.seeds > 1 else ""
    yield Text(clean(f"the law of {counts}", symbols), style="bold")
    yield _fact("methods", ", ".join(names), symbols)
    base = "" if findings.base_score is None else f", on which the base scores {format_points(findings.base_score)} %"
    yield _fact("forgetting", f"mean drop of {', '.join(findings.dataset.benchmarks)}{base}", symbols)
    yield _fact("KL", f"{_kl(findings)}, on the prompts called `{found.prompts}`", symbols)
    yield _fact("base", f"{found.base} ({found.world} world)", symbols)
    yield _fact("", _preferences(findings), symbols)
    for note in findings.dataset.notes:
        yield Text.assemble(("  note        ", "dim"), (clean(note, symbols), "yellow"))


def _preferences(findings: Findings) -> str:
    """The base's entropy over right answers."""
    if findings.base_entropy is None:
        return "its entropy over right answers is not known: they are only listed in vision sweeps"
    entropy, most = findings.base_entropy
    return f"its entropy over right answers is {entropy:.2f} nats; {most:.2f} if it preferred none"


def _fact(name: str, words: str, symbols: Symbols) -> Text:
    return Text.assemble((f"  {name:<12}", "dim"), clean(words, symbols))


def _kl(findings: Findings) -> str:
    return kl_label(findings.points)


def _curves(findings: Findings, form: Form) -> Iterator[Text]:
    """The R² of the three curves."""
    yield Text("forgetting by forward KL", style="bold")
    seeds = findings.seeds > 1
    head = ("curve", form.square, "on held-out runs", *(["on held-out seeds"] * seeds), "on held-out methods")
    rows = [
        (
            kind,
            interval(fit.r2),
            interval(fit.held_out_runs),
            *([interval(fit.held_out_seeds)] * seeds),
            interval(fit.held_out_methods),
        )
        for kind, fit in findings.fits.items()
    ]
    yield from table(head, rows, form, "lllll", optional=(2,) * seeds)
    turns = findings.fits["quadratic"].curve.turns_at()
    kl_P = findings.points.predictors[FORWARD_KL]
    if turns is not None and kl_P[np.isfinite(kl_P)].max() > turns:
        yield Text(f"  the quadratic turns over at KL {figure(turns)} and falls from there on", style="dim")
    dropped = findings.fits["quadratic"].dropped
    if dropped:
        yield Text(f"  {number_of(dropped, 'checkpoint')} without a finite KL and forgetting left out", style="dim")


def _predictors(findings: Findings, form: Form) -> Iterator[Text]:
    """Forward KL among its rivals, the best first, by the inputs they are measured on."""
    yield Text("what predicts forgetting", style="bold")
    head = ("predictor", "rank", f"{form.square}, {RANKING_FIT}", "held-out", "less forward KL", "monotone")
    rows: list[TableRow | str] = []
    for place, words in PLACES.items():
        here = [rival for rival in findings.rivals if rival.place == place]
        known = sorted((rival for rival in here if rival.missing is None), key=_order)
        rows += [words, *map(_rival_line, known)] if known else []
    yield from table(head, rows, form, "lrllll", optional=(5, 3))
    for place, words in PLACES.items():
        yield from _missing(findings.rivals, place, words)
    yield from _verdicts(findings, form.square)


def _order(rival: Rival) -> tuple[float, float]:
    """By rank; those without a rank follow by R²."""
    standing = rival.standings.get(RANKING_FIT)
    if standing is None:
        return math.inf, math.inf
    return standing.rank or math.inf, -(standing.fit.r2.value or 0.0)


def _rival_line(rival: Rival) -> TableRow:
    by_paper, by_monotone = rival.standings.get(RANKING_FIT), rival.standings.get("monotone")
    return (
        f"  {predictor_label(rival.predictor)}",
        _rank(by_paper),
        "n/a" if by_paper is None else interval(by_paper.fit.r2),
        "n/a" if by_paper is None else fixed(_value(by_paper.fit.held_out_runs)),
        "" if by_paper is None or by_paper.difference is None else interval(by_paper.difference),
        "n/a" if by_monotone is None else fixed(by_monotone.fit.r2.value),
    )


def _missing(rivals: Sequence[Rival], place: str, words: str) -> Iterator[Text]:
    """The predictors without a fit, a line a reason."""
    here = [rival for rival in rivals if rival.place == place]
    for reason in dict.fromkeys(rival.missing for rival in here if rival.missing is not None):
        names = [predictor_label(rival.predictor) for rival in here if rival.missing == reason]
        which = "all" if len(names) == len(here) else ", ".join(names)
        yield Text(f"  {words.split(' (', maxsplit=1)[0]}, {reason}: {which}", style="dim")


def _rank(standing: Standing | None) -> str:
    if standing is None or standing.rank is None:
        return ""
    return f"{standing.rank}{' tied' if standing.tied else ''}"


def _value(found: Interval | None) -> float | None:
    return None if found is None else found.value


def _verdicts(findings: Findings, square: str) -> Iterator[Text]:
    words = {"first": "first", "tied": "tied for first", "behind": "behind another", None: "undecided (too few runs)"}
    verdicts = ", ".join(
        f"{words[verdict(findings.rivals, kind)]} by the {kind} fit" for kind in ("quadratic", "monotone")
    )
    yield Text(f"  forward KL is {verdicts}", style="dim")
    if any(standing.tied for rival in findings.rivals for standing in rival.standings.values()):
        yield Text(f"  tied: the interval of the difference in {square} to forward KL holds zero", style="dim")


def _methods(findings: Findings, form: Form) -> Iterator[Text]:
    """The offset of each method from the common curve."""
    common = findings.common
    off = [method.method for method in common.methods if method.off]
    answer = {None: "n/a (too few runs a method)", True: "none is off it", False: f"off it: {', '.join(off)}"}
    yield Text(clean(f"one curve for all methods? {answer[common.one_curve]}", form.symbols), style="bold")
    head = ("method", "checkpoints", "runs", "off the curve, points", "p (Holm)")
    rows = [
        (
            method.method,
            str(method.points),
            str(method.runs),
            interval_points(method.offset),
            "n/a" if method.p_adjusted is None else figure(method.p_adjusted),
        )
        for method in common.methods
    ]
    yield from table(head, rows, form, "lrrlr")
    one, each = fixed(common.r2_common), fixed(common.r2_separate)
    yield Text(f"  {form.square} on held-out runs: {one} with one curve for all, {each} with one for each", style="dim")
