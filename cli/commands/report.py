"""`perdure report RUN`: a run as one HTML file."""

from pathlib import Path

from perdure.budget.files import write_atomic
from perdure.cli.console import say
from perdure.cli.find_run import find_run
from perdure.cli.output import writing


def report_command(path: Path, output: Path | None) -> None:
    """Write the page of a run, finished or not, by default as `report.html` in its folder.

    Raises:
        RunError: there is no such run; the file cannot be written.
    """
    folder = find_run(path)
    from perdure.cli.report.page import run_page

    target = output or folder / "report.html"
    page = run_page(folder)
    with writing(target):
        write_atomic(target, page.encode("utf-8", "backslashreplace"), durable=False)
    say(f"report: {target}")
