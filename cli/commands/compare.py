"""`perdure compare RUN RUN…`: runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from perdure.agent.run.find import find_run
from perdure.cli.console import json_text, print_lines, reader_may_leave, symbols_and_width


def compare_command(paths: Sequence[Path], form: str) -> None:
    """Print the figures of runs, their differences from the first run, and what differs in the curricula.

    Raises:
        RunError: there is no such run; fewer than two; nothing is scored.
    """
    from perdure.agent.run.compare import compare_runs, comparison_object
    from perdure.cli.views.comparison import comparison_lines
    from perdure.cli.views.formats import print_sheets
    from perdure.cli.views.run_sheets import compare_sheets

    found = compare_runs([find_run(path) for path in paths])
    with reader_may_leave():
        if form == "json":
            print(json_text(comparison_object(found)))
        elif form == "table":
            console = Console(file=sys.stdout, highlight=False)
            print_lines(comparison_lines(found, *symbols_and_width(console)), console)
        else:
            print_sheets(compare_sheets(found), form)
