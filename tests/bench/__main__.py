"""`python -m tests.bench [NAME …]`: measure, print, and write the figures into docs/experiments/speed.md."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from tests.bench.figures import COLUMNS, Options, Report, UnmeasuredError
from tests.bench.machine import machine
from tests.bench.processes import ROOT
from tests.bench.section import render, with_section

NAMES = (
    "startup",
    "start",
    "scoring",
    "scorecard",
    "rewards",
    "grid",
    "environment",
    "monitor",
    "stage",
    "prefix",
    "memory",
    "rollback",
    "several",
    "peers",
    "reading",
    "demo",
    "control",
)
ASKED = ("ray_sweep", "peers.digits")
"""Measured only where they are named: they need an extra, or are a part of another."""
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}
EXPERIMENTS = ROOT / "docs" / "experiments" / "speed.md"


def main() -> int:
    """Exit code 1 if something could not be measured; a missed target is printed as missed."""
    arguments = _arguments()
    os.environ.update(QUIET)
    warnings.filterwarnings("ignore")
    console = Console(width=None if sys.stdout.isatty() else 140)
    options = Options(arguments.model, arguments.threads)
    machine_line = machine()
    console.print(machine_line, highlight=False)
    parts, failed = {}, False
    for name in arguments.names or NAMES:
        report = _measured(import_module(f"tests.bench.{name}").measure, options)
        failed = failed or not report.figures
        console.print(_table(name, report))
        for note in report.notes:
            console.print(note, highlight=False, markup=False)
        console.print()
        parts[name] = render(report, machine_line)
        if not arguments.print_only:
            _write(parts)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of: {', '.join(NAMES + ASKED)}; default: all but those of extras",
    )
    parser.add_argument("--model", type=Path, help="folder of a 135 M model; default: random weights of that shape")
    parser.add_argument("--threads", type=_threads, default="auto", help="threads of the large model: auto or N")
    parser.add_argument("--print-only", action="store_true", help="leave docs/experiments/speed.md alone")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES + ASKED))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES + ASKED)}")
    return arguments


def _threads(text: str) -> int | Literal["auto"]:
    return "auto" if text == "auto" else int(text)


def _measured(measure: Callable[[Options], Report], options: Options) -> Report:
    try:
        return measure(options)
    except UnmeasuredError as error:
        return Report(notes=(f"Not measured: {error}",))


def _table(name: str, report: Report) -> Table:
    table = Table(*COLUMNS, title=name, title_justify="left")
    for figure in report.figures:
        style = "green" if figure.verdict == "met" else "bold red"
        *cells, verdict = figure.cells
        table.add_row(*cells, f"[{style}]{verdict}[/]")
    return table


def _write(parts: dict[str, str]) -> None:
    before = EXPERIMENTS.read_text() if EXPERIMENTS.exists() else "# Speed\n"
    EXPERIMENTS.write_text(with_section(before, parts, NAMES + ASKED))


if __name__ == "__main__":
    sys.exit(main())
