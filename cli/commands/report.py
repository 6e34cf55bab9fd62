"""`perdure report RUN`: a run as one HTML file."""

from pathlib import Path

from perdure.agent.run.find import find_run
from perdure.budget.files import write_atomic
from perdure.cli.commands.plan import PhaseView
from perdure.cli.console import phase_status, say, silence_libraries
from perdure.cli.output import writing
from perdure.cli.report.embedded import EmbeddedFilm

FPS = 8.0


def report_command(path: Path, output: Path | None, *, film: bool = False) -> None:
    """Write the page of a run, finished or not, by default as `report.html` in its folder; with a film of an episode.

    Raises:
        ConfigError: an episode cannot be drawn here.
        RunError: there is no such run, or it has no episodes to film; the file cannot be written.
    """
    folder = find_run(path)
    from perdure.cli.report.page import run_page

    target = output or folder / "report.html"
    page = run_page(folder, _film(folder) if film else None)
    with writing(target):
        write_atomic(target, page.encode("utf-8", "backslashreplace"), durable=False)
    say(f"report: {target}")


def _film(folder: Path) -> EmbeddedFilm:
    """The film that `perdure film` would write."""
    silence_libraries()
    from perdure.agent.film.files import gif_bytes
    from perdure.agent.film.film import Wanted, film
    from perdure.agent.film.montage import frames_of

    with phase_status() as show:
        found = film(folder, Wanted(), PhaseView(show))
        show("drawing the film")
        return EmbeddedFilm(gif_bytes(frames_of(found), FPS), found.title, found.lines)
