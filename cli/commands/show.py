"""`perdure show RUN|SWEEP`: a run or a sweep as a report, or as one JSON object."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from perdure.agent.run.find import find_folder, find_run, read_run
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.lock import is_held
from perdure.agent.run.record import final_policy
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import RunError
from perdure.cli.console import json_text, print_lines, reader_may_leave, say, symbols_and_width
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State, with_events
from perdure.cli.views.sweep_report import sweep_report


def show_command(path: Path, as_json: bool, form: str = "table") -> None:
    """Print a run or a sweep, finished or not, in a format; `as_json` is the format `json`.

    Raises:
        RunError: there is none, or it cannot be read; a format that a sweep has not.
    """
    form = "json" if as_json else form
    found = find_folder(path)
    if isinstance(found, SweepFolder):
        from perdure.agent.sweep.summary import sweep_object

        if form not in ("table", "json"):
            raise RunError(f"--format {form}: a sweep has table and json; its rows are in {found.results}")
        print_sweep(sweep_object(found), form == "json")
    else:
        _print_run(find_run(found.path), form)


def _print_run(folder: Path, form: str) -> None:
    record, events = read_run(folder)
    from perdure.agent.run.diagnostics.diagnose import finding_objects, findings
    from perdure.agent.run.report import changes, metric_estimates, run_object

    with reader_may_leave():
        if form == "json":
            print(json_text(run_object(record, folder) | {"findings": finding_objects(findings(record, folder))}))
            return
        if form != "table":
            from perdure.cli.views.formats import print_sheets
            from perdure.cli.views.run_sheets import run_sheets

            print_sheets(run_sheets(record, changes(record, folder), metric_estimates(record, folder)), form)
            return
        state = replace(with_events(State(), events, folder), gone=not is_held(folder))
        console = Console(file=sys.stdout, highlight=False)
        symbols, width = symbols_and_width(console)
        found = findings(record, folder)
        print_lines(run_report(state, metric_estimates(record, folder), symbols, width, found), console)
        policy = final_policy(RunFolder(folder), record)
        if policy is not None:
            say(f"policy: {policy}")


def print_sweep(found: dict[str, Any], as_json: bool) -> None:
    """Print what `perdure.agent.sweep.summary.sweep_object` found."""
    console = Console(file=sys.stdout, highlight=False)
    with reader_may_leave():
        if as_json:
            print(json_text(found))
        else:
            print_lines(sweep_report(found, symbols_and_width(console)[0]), console)
