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
from perdure.budget.law.saved import Coverage, Law
from perdure.cli.law.labels import PLACES, fixed, interval, interval_points, kl_label, percent, predictor_words
from perdure.cli.law.retention import excess, retention
from perdure.cli.law.text_table import Form, Line, table
from perdure.cli.views.format import points
from perdure.cli.views.symbols import Glyphs, clean

RANKED_BY = "quadratic"


def page(findings: Findings, form: Form, plot: Sequence[Text] = ()) -> list[Text]:
    """Everything, a section after another; `plot` stands below the curves."""
    sections = [
        [*about(findings, form.glyphs)],
        [*curves(findings, form), *([Text(""), *plot] if plot else [])],
        [*predictors(findings, form)],
        [*methods(findings, form)],
        [*reliability(findings)],
        *([*retention(findings, accuracy, form)] for accuracy in findings.accuracies),
        [*excess(findings, form)],
    ]
    return [line for section in sections for line in (*section, Text(""))][:-1]


def about(findings: Findings, glyphs: Glyphs) -> Iterator[Text]:
    """What was pooled."""
    found, names = findings.points, findings.methods
    counts = f"{_count(len(found), 'checkpoint')} of {_count(findings.runs, 'run')} and {_count(len(names), 'method')}"
    counts += f" in {findings.seeds} seeds" if findings.seeds > 1 else ""
    yield Text(clean(f"the law of {counts}", glyphs), style="bold")
    yield _fact("methods", ", ".join(names), glyphs)
    base = "" if findings.base_score is None else f", on which the base scores {points(findings.base_score)} %"
    yield _fact("forgetting", f"mean drop of {', '.join(findings.dataset.benchmarks)}{base}", glyphs)
    yield _fact("KL", f"{_kl(findings)}, on the prompts called `{found.prompts}`", glyphs)
    yield _fact("base", f"{found.base} ({found.world} world)", glyphs)
    for note in findings.dataset.notes:
        yield Text.assemble(("  note        ", "dim"), (clean(note, glyphs), "yellow"))


def _fact(name: str, words: str, glyphs: Glyphs) -> Text:
    return Text.assemble((f"  {name:<12}", "dim"), clean(words, glyphs))


def _kl(findings: Findings) -> str:
    return kl_label(findings.points.unit, findings.points.world)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def curves(findings: Findings, form: Form) -> Iterator[Text]:
    """R² of the three curves."""
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
        yield Text(f"  {_count(dropped, 'checkpoint')} without a finite KL and forgetting left out", style="dim")


def predictors(findings: Findings, form: Form) -> Iterator[Text]:
    """Forward KL among its rivals, best first in each place."""
    yield Text("what predicts forgetting", style="bold")
    head = ("predictor", "rank", f"{form.square}, {RANKED_BY}", "held-out", "less forward KL", "monotone")
    rows: list[Line | str] = []
    for place, words in PLACES.items():
        here = [rival for rival in findings.rivals if rival.place == place]
        known = sorted((rival for rival in here if rival.missing is None), key=_order)
        rows += [words, *map(_rival_line, known)] if known else []
    yield from table(head, rows, form, "lrllll", optional=(5, 3))
    for place, words in PLACES.items():
        yield from _missing(findings.rivals, place, words)
    yield from _verdicts(findings, form.square)


def _order(rival: Rival) -> tuple[float, float]:
    """By rank; those without one after them by R²."""
    standing = rival.standings.get(RANKED_BY)
    if standing is None:
        return math.inf, math.inf
    return standing.rank or math.inf, -(standing.fit.r2.value or 0.0)


def _rival_line(rival: Rival) -> Line:
    by_paper, by_monotone = rival.standings.get(RANKED_BY), rival.standings.get("monotone")
    return (
        f"  {predictor_words(rival.predictor)}",
        _rank(by_paper),
        "n/a" if by_paper is None else interval(by_paper.fit.r2),
        "n/a" if by_paper is None else fixed(_value(by_paper.fit.held_out_runs)),
        "" if by_paper is None or by_paper.difference is None else interval(by_paper.difference),
        "n/a" if by_monotone is None else fixed(by_monotone.fit.r2.value),
    )


def _missing(rivals: Sequence[Rival], place: str, words: str) -> Iterator[Text]:
    """Those without a fit, one line a reason."""
    here = [rival for rival in rivals if rival.place == place]
    for reason in dict.fromkeys(rival.missing for rival in here if rival.missing is not None):
        names = [predictor_words(rival.predictor) for rival in here if rival.missing == reason]
        told = "all" if len(names) == len(here) else ", ".join(names)
        yield Text(f"  {words.split(' (', maxsplit=1)[0]}, {reason}: {told}", style="dim")


def _rank(standing: Standing | None) -> str:
    if standing is None or standing.rank is None:
        return ""
    return f"{standing.rank}{' tied' if standing.tied else ''}"


def _value(found: Interval | None) -> float | None:
    return None if found is None else found.value


def _verdicts(findings: Findings, square: str) -> Iterator[Text]:
    words = {"first": "first", "tied": "tied for first", "behind": "behind another", None: "undecided (too few runs)"}
    said = ", ".join(f"{words[verdict(findings.rivals, kind)]} by the {kind} fit" for kind in ("quadratic", "monotone"))
    yield Text(f"  forward KL is {said}", style="dim")
    if any(standing.tied for rival in findings.rivals for standing in rival.standings.values()):
        yield Text(f"  tied: {square} cannot be told from that of forward KL on the same checkpoints", style="dim")


def methods(findings: Findings, form: Form) -> Iterator[Text]:
    """Each method against the common curve."""
    common = findings.common
    off = [method.method for method in common.methods if method.off]
    answer = {None: "n/a (too few runs a method)", True: "none is off it", False: f"off it: {', '.join(off)}"}
    yield Text(clean(f"one curve for all methods? {answer[common.one_curve]}", form.glyphs), style="bold")
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


def reliability(findings: Findings) -> Iterator[Text]:
    """How far the interval can be trusted."""
    yield Text("the prediction and its interval", style="bold")
    law = findings.law
    if law is None:
        yield Text(f"  n/a: {findings.no_law}")
        return
    kl = _kl(findings)
    yield Text(f"  fitted between {figure(law.kl_min)} and {figure(law.kl_max)} ({kl}); beyond, it says so")
    yield Text(f"  made for {percent(law.level)} of new runs' checkpoints; {_covered(law.coverage, 'held-out runs')}")
    if law.coverage_seeds is not None:
        yield Text(f"  {_covered(law.coverage_seeds, 'runs of a seed that was held out')}")
    if law.coverage_methods is not None:
        yield Text(f"  {_covered(law.coverage_methods, 'runs of a method that was held out')}")
    for kl_value in _examples(law):
        found = law.predict(kl_value)
        words = f"{points(found.value)} points [{points(found.low)}, {points(found.high)}]"
        yield Text(f"  at KL {figure(kl_value)}: predicted forgetting {words}", style="dim")


def _covered(coverage: Coverage, where: str) -> str:
    bounds = ""
    if coverage.low is not None and coverage.high is not None:
        bounds = f" [{points(coverage.low)}, {points(coverage.high)}]"
    counts = f"{_count(coverage.points, 'checkpoint')} of {coverage.runs}"
    return f"it covered {points(coverage.covered)} %{bounds} of {counts} {where}"


def _examples(law: Law) -> list[float]:
    return [law.kl_min + share * (law.kl_max - law.kl_min) for share in (0.05, 0.25, 0.75)]
