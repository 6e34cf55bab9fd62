"""`python -m tests.faults [NAME …]`: try faults against perdure, and print how many cases were tried, held and lost."""

import argparse
import sys
from importlib import import_module

from rich.console import Console
from rich.table import Table

HARNESSES: dict[str, str] = {
    "disk": "tests.faults.disk",
    "power": "tests.faults.power",
    "language": "tests.faults.language",
    "control": "tests.faults.control",
    "redo": "tests.faults.redo",
    "streams": "tests.faults.streams",
    "folders": "tests.faults.folders",
    "sweeps": "tests.faults.sweeps",
    "curricula": "tests.faults.curricula",
    "settings": "tests.faults.settings",
    "answers": "tests.faults.answers",
}
"""A name, and its module, which has `def run(limit: int | None) -> Totals`; `limit` is a number of cases."""

SHOWN = 20
"""Lost cases that are printed a harness."""


def main() -> int:
    """Exit code 1 if a case was lost."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table("harness", "tried", "held", "lost")
    for name in arguments.names or HARNESSES:
        totals = import_module(HARNESSES[name]).run(arguments.limit)
        table.add_row(name, str(totals.tried), str(totals.held), str(len(totals.lost)))
        print(f"{name}: tried {totals.tried}, held {totals.held}, lost {len(totals.lost)}", flush=True)
        for line in totals.lost[:SHOWN]:
            console.print(f"lost: {name}: {line}", markup=False)
    console.print(table)
    return int(any(cell != "0" for cell in table.columns[-1].cells))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(HARNESSES)}; default: all")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N cases a harness, spread over all")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(HARNESSES))
    if unknown:
        parser.error(f"no harness {unknown[0]!r}; there are: {', '.join(HARNESSES)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
