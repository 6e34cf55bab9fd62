"""The plot of the law in the terminal: forgetting against forward KL, a colour a method, and the monotone fit."""

import numpy as np
from rich.text import Text

from perdure.agent.law_data.findings import Findings
from perdure.budget.law.points import FORWARD_KL
from perdure.cli.law.labels import kl_label
from perdure.cli.views.symbols import clean

TERMINAL_COLOURS = ("blue", "red", "green", "magenta", "cyan", "yellow")
HEIGHT = 18
MAX_WIDTH = 100
MARGIN = 2


def terminal_plot(findings: Findings, width: int) -> list[Text]:
    """A plot of at most `width` cells in braille dots, with its legend; nothing on a terminal too narrow for one."""
    if width < 40:
        return []
    import plotext

    kl_P, forgetting_P = findings.points.predictors[FORWARD_KL], 100 * findings.points.forgetting
    figure = plotext.figure
    figure.clear()
    figure.plot_size(min(width - MARGIN, MAX_WIDTH), HEIGHT)
    figure.theme("simple")
    for index, method in enumerate(findings.methods):
        chosen_P = (findings.points.method == method) & np.isfinite(kl_P) & np.isfinite(forgetting_P)
        marker = plotext.marker("braille", TERMINAL_COLOURS[index % len(TERMINAL_COLOURS)])
        if chosen_P.any():
            figure.draw(figure.signal(kl_P[chosen_P].tolist(), forgetting_P[chosen_P].tolist(), marker=marker))
    kl_G = np.linspace(np.nanmin(kl_P[np.isfinite(kl_P)]), np.nanmax(kl_P[np.isfinite(kl_P)]), 4 * width)
    curve_G = 100 * findings.fits["monotone"].curve.predict(kl_G)
    figure.draw(figure.signal(kl_G.tolist(), curve_G.tolist(), marker=plotext.marker("braille", "white")))
    drawn = Text.from_ansi(figure.build().string())
    figure.clear()
    body = [Text.assemble(" " * MARGIN, line) for line in drawn.split("\n")]
    return [Text("  forgetting, points", style="dim"), *body, *_legend(findings, width)]


def _legend(findings: Findings, width: int) -> list[Text]:
    """The label of the x axis and the colour of each method, in as many lines as needed."""
    label = kl_label(findings.points)
    lines = [Text(f"  {label}   ", style="dim")]
    entries = [("━ monotone fit", "white")]
    entries += [
        (f"● {clean(name)}", TERMINAL_COLOURS[index % len(TERMINAL_COLOURS)])
        for index, name in enumerate(findings.methods)
    ]
    for words, colour in entries:
        entry = Text(f"{words}  ", style=colour)
        if lines[-1].cell_len + entry.cell_len > width and lines[-1].plain.strip():
            lines.append(Text("  "))
        lines[-1].append_text(entry)
    return lines
