"""The training curves of a run: every figure of its optimiser steps over the whole run, nothing smoothed."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from perdure.cli.report.figures import ROOM, stage_line
from perdure.cli.views.drawing import PALETTE
from perdure.curriculum.worlds.nouns import Nouns

if TYPE_CHECKING:
    from pandas import DataFrame

PANELS = {
    "loss": "loss",
    "reward": "reward",
    "entropy": "entropy, nats\n{per}",
    "mean_length": "mean length,\n{noun}s",
    "learning_rate": "learning rate",
}
"""The figures that are drawn, and the words at their axes."""

BINS = 600
"""Bins of steps in a panel."""


def known_curves(steps: "DataFrame") -> list[str]:
    """The figures of which any step has a number."""
    return [name for name in PANELS if np.isfinite(steps[name]).any()]


def bin_size(steps: "DataFrame") -> int:
    """Steps in a bin of a run: 1 up to 2 steps a bin, which are then drawn as they are."""
    return 1 if len(steps) <= 2 * BINS else -(-len(steps) // BINS)


def training_figure(steps: "DataFrame", nouns: Nouns) -> Figure:
    """A panel a figure over the optimiser steps of the run; a line a stage. There is at least one (`known_curves`)."""
    names, size = known_curves(steps), bin_size(steps)
    figure = Figure(figsize=(10, 0.8 + 1.6 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
    for number, (axes, name) in enumerate(zip(panels, names, strict=True)):
        for (stage, title), rows in steps.groupby(["stage", "name"]):
            words = f"{stage} {title}" if number == 0 else ""
            stage_line(axes, int(rows["run_step"].iloc[0]) - 1, words, ROOM // steps["stage"].nunique())
            x, y = extremes(rows["run_step"].to_numpy(), rows[name].to_numpy(), size)
            axes.plot(x, y, color=PALETTE[number], linewidth=1.1, marker="o" if len(x) == 1 else "", markersize=3)
        axes.set_ylabel(PANELS[name].format(per=nouns.per("token"), noun=nouns.token))
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    panels[-1].set_xlabel("optimiser steps of the run")
    return figure


def extremes(x: np.ndarray, y: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of each bin of `size` points, where they are; all values at a `size` of 1.

    Values that are not finite are gaps, unless their bin has others.
    """
    if size == 1:
        return x, np.where(np.isfinite(y), y, np.nan)
    kept: list[int] = []
    for first in range(0, len(y), size):
        here = np.flatnonzero(np.isfinite(y[first : first + size])) + first
        kept += sorted({int(here[y[here].argmin()]), int(here[y[here].argmax()])}) if len(here) else [first]
    return x[kept], np.where(np.isfinite(y[kept]), y[kept], np.nan)
