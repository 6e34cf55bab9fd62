"""A run as one HTML file that needs no network: all that is in it is escaped, and it has no script."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.agent.run.events import Started
from perdure.agent.run.lock import is_held
from perdure.agent.run.state import RunState
from perdure.budget.errors import RunError
from perdure.cli.commands.watch import read_progress
from perdure.cli.find_run import read_run
from perdure.cli.report.document import contents
from perdure.cli.report.embedded import EmbeddedFilm
from perdure.cli.views.state import paired_tests
from perdure.curriculum.messages import printable

if TYPE_CHECKING:  # it takes a second
    from matplotlib.figure import Figure

TEMPLATE = "page.html.jinja"


def run_page(folder: Path, film: EmbeddedFilm | None = None) -> str:
    """The page of a run, finished or not, with a film where there is one.

    Raises:
        RunError: the run has written nothing yet, or its journal cannot be read.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

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
    drawn = _figures(record, read_progress(folder))
    figures = {name: Markup(svg) for name, svg in drawn.items()}  # matplotlib escapes the names in them
    found = contents(record, events[0], folder, changes, going_on=is_held(folder))
    return environment.get_template(TEMPLATE).render(found | {"figures": figures, "film": film})


def _figures(record: RunState, progress: Mapping[str, Any]) -> dict[str, str]:
    """The figures of the page as `<svg>`; those that have nothing to show are left out."""
    from perdure.cli.report.figures import kl_figure, retention_figure, steps_figure, told_curves
    from perdure.cli.views.drawing import page_svg

    measured = any(row.stage and row.readings for row in record.rows)
    scored = any(row.stage and row.name in row.scores for row in record.rows)
    drawn: dict[str, Callable[[], Figure]] = {}
    if measured:
        drawn["kl"] = lambda: kl_figure(record)
    if scored:
        drawn["retention"] = lambda: retention_figure(record)
    if told_curves(progress):
        drawn["steps"] = lambda: steps_figure(progress)
    return {name: page_svg(name, draw) for name, draw in drawn.items()}
