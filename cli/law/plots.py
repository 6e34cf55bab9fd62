"""The plots of `perdure law`, as PNG and as SVG. The same findings give the same bytes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from perdure.agent.law_data.findings import Findings
from perdure.budget.law.floor import floors
from perdure.budget.law.frontier import Frontier
from perdure.budget.law.points import FORWARD_KL, LAW_PREDICTORS
from perdure.budget.law.resample import UNKNOWN
from perdure.budget.law.rivals import Rival
from perdure.budget.law.saved import Law
from perdure.cli.law.labels import LAW_LABELS, PLACES, kl_label, percent, predictor_label
from perdure.cli.views.drawing import PALETTE, write_figures
from perdure.cli.views.symbols import clean
from perdure.curriculum.worlds.registry import nouns_of

MARKERS = ("o", "^", "s", "D")
LARGE_POINTS = 400
"""Up to this many points are drawn large."""
VECTOR_POINTS = 2000
"""More points than this are pixels in the SVG too, which would else have megabytes."""


def draw_all(findings: Findings, folder: Path) -> list[Path]:
    """Write `law`, `frontier` and `predictors`, with a generic probe also `places`, each as .png and .svg; the paths.

    Raises:
        OSError: a file cannot be written.
    """
    drawn = {"law": law_figure, "frontier": frontier_figure, "predictors": predictors_figure}
    drawn |= {"places": places_figure} if findings.places else {}
    return write_figures({name: partial(draw, findings) for name, draw in drawn.items()}, folder)


def law_figure(findings: Findings) -> Figure:
    """Forgetting against forward KL, on a linear and on a logarithmic axis: checkpoints, curves and the interval."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    points = findings.points
    for axes in (left, right):
        _cloud(axes, findings, points.predictors[FORWARD_KL], 100 * points.forgetting)
        _curves(axes, findings, log=axes is right)
        axes.set_xlabel(_kl(findings))
    left.plot([0], [0], "*", color="black", markersize=11, zorder=5, label="base")
    left.set_ylabel(f"forgetting, points\n(mean drop of {_listed(findings.dataset.benchmarks)})")
    _logarithmic(right, "x", *_ends(points.predictors[FORWARD_KL]))
    _legend(figure, [left])
    return figure


def _curves(axes: Axes, findings: Findings, *, log: bool) -> None:
    kl_P = findings.points.predictors[FORWARD_KL]
    kl_P = kl_P[np.isfinite(kl_P)]
    low, high = float(kl_P.min()), float(kl_P.max())
    kl_G = np.geomspace(_ends(kl_P)[0], high, 400) if log else np.linspace(low, high, 400)
    if findings.law is not None and findings.predictor == "task":
        _band(axes, findings.law, kl_G)
    for kind, look in {"monotone": "-", "quadratic": "--", "line": ":"}.items():
        fit = findings.fits[kind]
        words = f"{kind}, R² {fit.r2.value:.2f}" if fit.r2.value is not None else kind
        axes.plot(kl_G, 100 * fit.curve.predict(kl_G), look, color="black", linewidth=1.4, zorder=4, label=words)
    span_P = 100 * findings.points.forgetting[np.isfinite(findings.points.forgetting)]
    room = 0.08 * float(np.ptp(span_P)) or 1.0
    axes.set_ylim(float(span_P.min()) - room, float(span_P.max()) + room)


def _band(axes: Axes, law: Law, kl_G: NDArray[np.float64]) -> None:
    found = [law.predict(float(kl)) for kl in kl_G]
    low_G, high_G = [100 * one.low for one in found], [100 * one.high for one in found]
    label = f"{percent(law.level)} interval"
    axes.fill_between(kl_G, low_G, high_G, color="#999999", alpha=0.3, linewidth=0, zorder=1, label=label)


def _cloud(axes: Axes, findings: Findings, x_P: NDArray[np.float64], y_P: NDArray[np.float64]) -> None:
    """One colour and marker a method, the same in every figure; the fewer the points, the larger."""
    size, alpha = (9, 0.45) if len(x_P) > LARGE_POINTS else (18, 0.8)
    for index, method in enumerate(findings.methods):
        chosen_P = (findings.points.method == method) & np.isfinite(x_P) & np.isfinite(y_P)
        axes.scatter(
            x_P[chosen_P],
            y_P[chosen_P],
            s=size,
            color=_colour(index),
            marker=MARKERS[index // len(PALETTE) % len(MARKERS)],
            alpha=alpha,
            linewidths=0,
            rasterized=len(x_P) > VECTOR_POINTS,
            zorder=2,
            label=_label(method),
        )


def frontier_figure(findings: Findings) -> Figure:
    """Retention against accuracy with each method's frontiers, one a seed; and, where known, KL against its floor."""
    floor_P = floors(findings.points)
    known = bool((np.isfinite(floor_P) & (floor_P > 0)).any())
    figure = Figure(figsize=(10.5, 4.6) if known else (7, 4.6), layout="constrained")
    panels = list(figure.subplots(1, 1 + known, squeeze=False)[0])
    _retention(panels[0], findings)
    if known:
        _above_floor(panels[1], findings, floor_P)
    _legend(figure, panels)
    return figure


def _retention(axes: Axes, findings: Findings) -> None:
    base = findings.base_score or 0.0
    _cloud(axes, findings, 100 * findings.points.accuracy, 100 * (base - findings.points.forgetting))
    for index, method in enumerate(findings.methods):
        for one in findings.frontiers:
            if one.method == method:
                _exponential(axes, one, _colour(index), 1.6 if findings.seeds == 1 else 0.9)
    axes.axhline(100 * base, color="black", linewidth=0.9, linestyle=(0, (1, 2)), label="base")
    for accuracy in findings.accuracies:
        axes.axvline(100 * accuracy, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    _from_the_frontiers(axes, findings)
    axes.set_xlabel(f"{nouns_of(findings.points.world).score} on the new task, %")
    what = "change since the base, points" if findings.base_score is None else "kept, %"
    axes.set_ylabel(f"{what}\n(mean of {_listed(findings.dataset.benchmarks)})")


def _exponential(axes: Axes, frontier: Frontier, colour: str, width: float) -> None:
    """The frontier's exponential; where there is none, its Pareto points, joined."""
    if frontier.exponential is None:
        accuracy, retention = frontier.accuracy, frontier.retention
    else:
        start, end = frontier.exponential.start, frontier.exponential.end
        accuracy = tuple(float(one) for one in np.linspace(start, end, 100))
        retention = tuple(frontier.exponential.predict(one) or 0.0 for one in accuracy)
    axes.plot([100 * x for x in accuracy], [100 * y for y in retention], color=colour, linewidth=width, zorder=3)


def _from_the_frontiers(axes: Axes, findings: Findings) -> None:
    """Omit accuracies below the lowest frontier, where nothing was learned."""
    starts = [one.exponential.start for one in findings.frontiers if one.exponential is not None]
    ends = [one.accuracy[-1] for one in findings.frontiers]
    if starts and ends:
        room = max(max(ends) - min(starts), 0.01) * 0.04
        axes.set_xlim(100 * (min(starts) - room), 100 * (max(ends) + room))


def _above_floor(axes: Axes, findings: Findings, floor_P: NDArray[np.float64]) -> None:
    """KL against the least KL for a checkpoint's rate of right answers; no point can lie below the diagonal."""
    kl_P = findings.points.predictors[FORWARD_KL]
    _cloud(axes, findings, np.where(floor_P > 0, floor_P, np.nan), np.where(kl_P > 0, kl_P, np.nan))
    low, high = _ends(floor_P)
    axes.plot([low / 2, high * 2], [low / 2, high * 2], color="black", linewidth=1.6, zorder=4, label="KL floor")
    _logarithmic(axes, "x", low, high)
    _logarithmic(axes, "y", min(low, _ends(kl_P)[0]), max(high, _ends(kl_P)[1]))
    axes.set_xlabel("KL floor of the right answers it gives, nats")
    axes.set_ylabel(_kl(findings))


def predictors_figure(findings: Findings) -> Figure:
    """The R² of every predictor with its interval, grouped by the inputs; the line is forward KL."""
    groups = [(place, [r for r in findings.rivals if r.place == place and r.standings]) for place in PLACES]
    groups = [
        (place, sorted(rivals, key=lambda one: (round(_r2(one), 6), one.predictor == FORWARD_KL)))
        for place, rivals in groups
        if rivals
    ]
    rows = sum(len(rivals) for _, rivals in groups)
    figure = Figure(figsize=(7.5, 1.6 + 0.26 * (rows + len(groups))), layout="constrained")
    heights = [len(rivals) + 0.4 for _, rivals in groups]
    panels = list(figure.subplots(len(groups), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
    for axes, (place, rivals) in zip(panels, groups, strict=True):
        _dots(axes, rivals)
        axes.set_title(PLACES[place], loc="left", fontsize=9)
        for rival in findings.rivals:
            if rival.predictor == FORWARD_KL:
                axes.axvline(_r2(rival), color="#0072b2", linewidth=0.9, linestyle="--", zorder=0)
    panels[-1].set_xlabel("R² of forgetting, with its interval from resampling runs")
    _legend(figure, panels, "outside upper right", columns=2)
    return figure


def places_figure(findings: Findings) -> Figure:
    """Forgetting against what a law of each predictor expects of it, KL on the task, on the generic probe, and both."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    panels = list(figure.subplots(1, len(findings.places), sharex=True, sharey=True))
    points = findings.points
    known_P = np.logical_and.reduce([np.isfinite(points.predictors[name]) for name in LAW_PREDICTORS["both"]])
    for axes, place in zip(panels, findings.places, strict=True):
        columns = [points.predictors[name] for name in LAW_PREDICTORS[place.predictor]]
        x = np.where(known_P, columns, 0.0).T if len(columns) > 1 else np.where(known_P, columns[0], 0.0)
        expected_P = np.where(known_P, place.fit.curve.predict(x), np.nan)
        _cloud(axes, findings, 100 * expected_P, 100 * points.forgetting)
        low, high = 100 * float(np.nanmin(expected_P)), 100 * float(np.nanmax(expected_P))
        axes.plot([low, high], [low, high], color="black", linewidth=1.4, zorder=4, label="as expected")
        held_out = place.fit.held_out_methods
        words = "" if held_out is None or held_out.value is None else f", held-out methods {held_out.value:.2f}"
        axes.set_title(f"{LAW_LABELS[place.predictor]}: R² {place.fit.r2.value or 0.0:.2f}{words}", fontsize=9)
        axes.set_xlabel("forgetting expected from it, points")
    panels[0].set_ylabel("forgetting, points")
    _legend(figure, panels)
    return figure


def _dots(axes: Axes, rivals: Sequence[Rival]) -> None:
    looks = {"quadratic": ("o", 0.12, "#0072b2"), "monotone": ("D", -0.16, "#d55e00")}
    for kind, (marker, shift, colour) in looks.items():
        for place, rival in enumerate(rivals):
            r2 = rival.standings[kind].fit.r2 if kind in rival.standings else UNKNOWN
            if r2.low is not None and r2.high is not None:
                axes.plot([r2.low, r2.high], [place + shift] * 2, color=colour, linewidth=1.2)
            if r2.value is not None:
                axes.plot([r2.value], [place + shift], marker, color=colour, markersize=5, label=f"{kind} fit")
    axes.set_yticks(range(len(rivals)), [predictor_label(rival.predictor) for rival in rivals])
    axes.set_ylim(-0.6, len(rivals) - 0.4)
    axes.set_xlim(-0.02, 1.02)


def _r2(rival: Rival) -> float:
    standing = rival.standings.get("quadratic")
    value = None if standing is None else standing.fit.r2.value
    return 0.0 if value is None else value


def _ends(kl_P: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of a logarithmic axis: the few checkpoints that hardly moved must not fill half of it."""
    seen_P = kl_P[np.isfinite(kl_P) & (kl_P > 0)]
    high = float(seen_P.max())
    return max(float(np.quantile(seen_P, 0.02, method="lower")), high * 1e-4), high


def _logarithmic(axes: Axes, name: Literal["x", "y"], low: float, high: float) -> None:
    """Plain figures at powers of ten; over a short range at 2 and 5 too."""
    axes.set(**{f"{name}scale": "log", f"{name}lim": (low / 1.2, high * 1.3)})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, position: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, panels: Sequence[Axes], place: str = "outside right upper", columns: int = 1) -> None:
    """One legend for all panels, in full colours."""
    found = [pair for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    entries = {label: handle for handle, label in reversed(found)}
    labels = list(dict.fromkeys(label for _, label in found))
    legend = figure.legend([entries[label] for label in labels], labels, loc=place, ncols=columns)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(alpha=1, sizes=[22])


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _label(method: str) -> str:
    """A leading underscore would keep a name out of the legend."""
    words = clean(method)
    return f" {words}" if words.startswith("_") else words


def _listed(names: Sequence[str]) -> str:
    return clean(", ".join(names)) if len(names) <= 3 else f"{len(names)} benchmarks"


def _kl(findings: Findings) -> str:
    return kl_label(findings.points)
