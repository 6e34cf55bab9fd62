"""A run as one HTML file that needs no network: all that is in it is escaped, and it has no script."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.events import Started
from perdure.agent.run.find import read_run
from perdure.agent.run.lock import is_held
from perdure.agent.run.state import RunState
from perdure.agent.run.steps import read_steps
from perdure.budget.errors import RunError
from perdure.cli.report.document import contents
from perdure.cli.report.embedded import EmbeddedFilm
from perdure.cli.views.state import paired_tests
from perdure.curriculum.messages import printable

if TYPE_CHECKING:  # it takes a second
    from matplotlib.figure import Figure
    from pandas import DataFrame

TEMPLATE = "page.html.jinja"


def run_page(folder: Path, film: EmbeddedFilm | None = None) -> str:
    """The page of a run, finished or not, with a film where there is one.

    Raises:
        RunError: the run has written nothing yet, or its journal cannot be read.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from perdure.cli.report.curves import bin_size

    record, events = read_run(folder)
    if not events or not isinstance(events[0], Started):
        raise RunError(f"{folder} holds a run that has written nothing yet; go on with: perdure resume {folder}")
    changes = paired_tests(record, folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else printable(value),
    )
    steps, fault = _steps(folder)
    drawn = _figures(record, steps)
    figures = {name: Markup(svg) for name, svg in drawn.items()}  # matplotlib escapes the names in them
    found = contents(record, events[0], folder, changes, going_on=is_held(folder))
    more = {"figures": figures, "film": film, "steps_fault": fault, "bin_size": bin_size(steps)}
    return environment.get_template(TEMPLATE).render(found | more)


def _steps(folder: Path) -> tuple["DataFrame", str]:
    """The optimiser steps of the run; none, and why, where their record is damaged."""
    try:
        return read_steps(folder), ""
    except RunError as error:
        return read_steps(folder, stage=0), str(error)


def _figures(record: RunState, steps: "DataFrame") -> dict[str, str]:
    """The figures of the page as `<svg>`; those that have nothing to show are left out."""
    from perdure.cli.report.curves import known_curves, training_figure
    from perdure.cli.report.figures import kl_figure, retention_figure
    from perdure.cli.views.drawing import page_svg

    measured = any(row.stage and row.readings for row in record.rows)
    scored = any(row.stage and row.name in row.scores for row in record.rows)
    drawn: dict[str, Callable[[], Figure]] = {}
    if measured:
        drawn["kl"] = lambda: kl_figure(record)
    if scored:
        drawn["retention"] = lambda: retention_figure(record)
    if known_curves(steps):
        drawn["steps"] = lambda: training_figure(steps, record.nouns)
    return {name: page_svg(name, draw) for name, draw in drawn.items()}
