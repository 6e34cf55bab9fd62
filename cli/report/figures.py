"""The figures of one run: the retention matrix, the KL against the cap, accuracy against retention."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from perdure.agent.run.events import Measured
from perdure.agent.run.percent import in_percent
from perdure.agent.run.state import RunState, StageState
from perdure.budget.base_id import at_settings
from perdure.cli.views.cells import IN_PART, PairedTests, change_since_base, columns
from perdure.cli.views.drawing import PALETTE
from perdure.cli.views.run_report import MEANING
from perdure.cli.views.symbols import UNICODE, clean, shorten

FEW = 250
"""Readings up to which each has a marker."""
NAME = 24
"""Characters of a name in a figure."""
ROOM = 130
"""Characters of the names of all stages, side by side."""


def matrix_figure(record: RunState, changes: PairedTests) -> Figure:
    """The retention matrix: a row a stage, a column a score; colour is the change since the base, in points."""
    names = (*record.tasks, *record.benchmarks)
    cells = columns(record, names, record.rows, changes, UNICODE)
    changes_RC = np.array([[change_since_base(record, row, name, changes) for name in names] for row in record.rows])
    size = (2.2 + 0.75 * max(len(names), 3), 1.6 + 0.42 * max(len(record.rows), 2))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    most = max(float(np.nanmax(np.abs(changes_RC), initial=0.0)), 0.01) if np.isfinite(changes_RC).any() else 0.01
    percent = in_percent(record, names)
    scale, unit = (100, "points") if percent else (1, "shares as fractions")
    image = axes.imshow(scale * changes_RC, cmap="RdBu", vmin=-scale * most, vmax=scale * most, aspect="auto")
    for c, column in enumerate(cells):
        for r, cell in enumerate(column.cells):
            words = f"{cell.value}\n{cell.change}{cell.mark}" if cell.change.strip() else cell.value + cell.mark
            light = bool(abs(changes_RC[r, c]) < 0.6 * most) or not math.isfinite(changes_RC[r, c])
            weight = "bold" if cell.significant else "normal"
            colour = "black" if light else "white"
            axes.text(c, r, words, ha="center", va="center", fontsize=7, color=colour, fontweight=weight)
            if record.rows[r].stage == column.stage:
                axes.add_patch(Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.4))
    axes.set_xticks(range(len(names)), [_name(name) for name in names], rotation=40, ha="right")
    axes.set_yticks(range(len(record.rows)), [f"{row.stage} {_name(row.name or 'base')}" for row in record.rows])
    axes.grid(visible=False)
    if record.tasks and record.benchmarks:
        axes.axvline(len(record.tasks) - 0.5, color="black", linewidth=1.6)
    figure.colorbar(image, ax=axes, label=f"change since the base, {unit}")
    part = f"; {IN_PART}: asked in part" if any(row.asked for row in record.rows) else ""
    shown = f"scores{'' if percent else ', shares'} in %"
    axes.set_title(f"{shown}; bold with a mark: significant; framed: just learned{part}", loc="left", fontsize=9)
    return figure


def kl_figure(record: RunState) -> Figure:
    """The KL to the base over all optimiser steps of the run, its cap, and every intervention."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    places = list(_spans(record))
    steps = [one.step for span in places for one in span.points]
    values = [one.reading.kl.value for span in places for one in span.points]
    marker = "o" if len(steps) <= FEW else ""
    axes.plot(steps, values, color=PALETTE[0], marker=marker, markersize=3.5, linewidth=1.4, label="KL")
    axes.plot(steps, [one.reading.cap for span in places for one in span.points], color=PALETTE[1], linewidth=1.4,
              linestyle="--", drawstyle="steps-post", label="cap of the stage")  # fmt: skip
    for span in places:
        stage_line(axes, span.start, f"{span.row.stage} {span.row.name}", ROOM // len(places))
    _interventions(axes, places)
    unit = next((row.readings[-1].unit for row in record.rows if row.readings), "token")
    axes.set_xlabel("optimiser steps of the run")
    axes.set_ylabel(f"KL from the base, nats/{record.nouns.unit(unit)}{at_settings(record.base_id)}")
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=4)
    return figure


def stage_line(axes: Axes, start: int, words: str, room: int) -> None:
    """Mark the step at which a stage begins; its name has `room` characters."""
    axes.axvline(start, color="#999999", linewidth=0.7, zorder=0)
    axes.annotate(shorten(clean(words), min(NAME, room), UNICODE), (start, 1), xycoords=("data", "axes fraction"),
                  xytext=(3, 2), textcoords="offset points", va="bottom", fontsize=7)  # fmt: skip


@dataclass(frozen=True)
class _Point:
    step: int
    reading: Measured


@dataclass(frozen=True)
class _Span:
    """The place of a stage on the axis of steps: from `start` on."""

    row: StageState
    start: int
    points: tuple[_Point, ...]

    @property
    def end(self) -> int:
        return max((one.step for one in self.points), default=self.start)


def _spans(record: RunState) -> Iterator[_Span]:
    start = 0
    for row in record.rows:
        if not row.readings:
            continue
        last = max(row.steps, *(one.step for one in row.readings))
        points = tuple(_Point(start + (last if one.final else one.step), one) for one in row.readings if one.finite)
        if row.stage:
            yield _Span(row, start, points)
        start += last


def _interventions(axes: Axes, spans: Sequence[_Span]) -> None:
    markers = {"rollback": "v", "stop": "s", "broken": "X", "project": "D", "recover": "P", "average": "o"}
    seen: set[str] = set()
    for span in spans:
        for event in span.row.interventions:
            height = span.points[-1].reading.kl.value if span.points else 0.0
            label = None if event.action in seen else MEANING[event.action]
            axes.plot([span.end], [height], markers[event.action], color=PALETTE[9], markersize=9, zorder=5,
                      markerfacecolor="none", label=label)  # fmt: skip
            seen.add(event.action)


def retention_figure(record: RunState) -> Figure:
    """Accuracy on the task just learned against what was kept; and, where a stage is priced, KL against the least.

    Both as the budget counts it: a floor is on the stage's own prompts alone, where a KL may be on those of all tasks.
    """
    needs = {one.stage: (one.target, one.required_kl) for one in record.prices}
    priced = {stage: (target, kl) for stage, (target, kl) in needs.items() if target is not None and kl is not None}
    figure = Figure(figsize=(10, 4.2) if priced else (6.4, 4.2), layout="constrained")
    panels = list(figure.subplots(1, 1 + bool(priced), squeeze=False)[0])
    scale, percent = (100, ", %") if in_percent(record, record.tasks) else (1, "")
    kept_scale, points = (100, ", points") if in_percent(record, (*record.tasks, *record.benchmarks)) else (1, "")
    for index, row in enumerate(row for row in record.rows if row.stage and row.name in row.scores):
        colour, accuracy = PALETTE[index % len(PALETTE)], scale * row.scores[row.name].value
        part = f" {IN_PART} asked in part" if row.asked else ""
        label = f"{row.stage} {_name(row.name)} ({row.method}){part}"
        kept = _kept(record, row)
        if kept is not None:
            panels[0].plot([accuracy], [kept_scale * kept], "o", color=colour, label=label)
        if row.stage in priced and row.readings:
            target, least = priced[row.stage]
            panels[1].plot([accuracy], [row.readings[-1].kl.value], "o", color=colour, label=label)
            panels[1].plot([scale * target], [least], "_", color=colour, markersize=18, markeredgewidth=2)
    panels[0].axhline(0, color="#999999", linewidth=0.9, linestyle=(0, (1, 2)), label="base")
    panels[0].set_xlabel(f"{record.nouns.score} on the task just learned{percent}")
    panels[0].set_ylabel(f"change of all that was known{points}\n(mean of earlier tasks and benchmarks)")
    if priced:
        panels[1].set_xlabel(f"{record.nouns.score} on the task just learned{percent}")
        unit = next((row.readings[-1].unit for row in record.rows if row.readings), "token")
        panels[1].set_ylabel(f"KL, nats/{record.nouns.unit(unit)}; bar: the least that keeps all targets so far")
        panels[1].set_ylim(bottom=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _kept(record: RunState, row: StageState) -> float | None:
    """Mean change of the benchmarks since the base, and of earlier tasks since they were learned."""
    changes = [change_since_base(record, row, name) for name in record.benchmarks]
    for stage, name in enumerate(record.tasks[: row.stage - 1], 1):
        learned = record.row(stage)
        if learned is not None and name in learned.scores and name in row.scores:
            changes.append(row.scores[name].value - learned.scores[name].value)
    known = [change for change in changes if math.isfinite(change)]
    return sum(known) / len(known) if known else None


def _name(text: str) -> str:
    return shorten(clean(text), NAME, UNICODE)
