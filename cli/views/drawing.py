"""How plots look, and how they are written: as PNG and as SVG. The same figures give the same bytes.

Drawn without pyplot, which needs a window system and changes global state.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from perdure.budget.files import atomic_path

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#8c6d31", "#4d4d4d", "#b30000")
"""Okabe and Ito's, which most colour-blind readers can distinguish, and four more; then the markers change."""
STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "perdure",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}
OMITTED_METADATA: Mapping[str, Mapping[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}}
"""Metadata that the files omit, so that they are the same tomorrow."""
INK, GRID = "#010203", "#a0a1a2"
"""The colour of texts and axes in a page, which becomes the page's own, and that of the grid."""


def write_figures(figures: Mapping[str, Callable[[], Figure]], folder: Path) -> list[Path]:
    """Draw each figure and write it as `NAME.png` and `NAME.svg`; the paths.

    Raises:
        OSError: a file cannot be written.
    """
    written = []
    with rc_context(dict(STYLE)):
        for name, draw in figures.items():
            figure = draw()
            FigureCanvasAgg(figure)
            for kind, omitted in OMITTED_METADATA.items():
                path = folder / f"{name}.{kind}"
                with atomic_path(path, durable=False) as partial:
                    figure.savefig(partial, format=kind, dpi=160, metadata=omitted)
                written.append(path)
    return written


def page_svg(name: str, draw: Callable[[], Figure]) -> str:
    """A figure as an `<svg>` element of a page: texts stay texts, and text and axes have the colour of the page."""
    page = {"svg.fonttype": "none", "svg.hashsalt": f"perdure-{name}", "savefig.transparent": True, "grid.color": GRID}
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    with rc_context({**STYLE, **page, "grid.alpha": 0.35, **dict.fromkeys(inks, INK)}):
        file = io.StringIO()
        draw().savefig(file, format="svg", metadata=OMITTED_METADATA["svg"])
    svg = file.getvalue().replace(INK, "currentColor")
    return svg[svg.index("<svg") :]
