"""Printing, for every command: on a terminal or off one, as JSON, and to a reader that may leave."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from perdure.budget import plain_json
from perdure.cli.views.symbols import ASCII, UNBOUNDED, Symbols, clean, harmless, symbols_for
from perdure.curriculum.messages import printable


def on_terminal(console: Console) -> bool:
    """True where a panel can be drawn again and again in place."""
    return console.is_terminal and not console.is_dumb_terminal


def symbols_and_width(console: Console) -> tuple[Symbols, int]:
    """What a report may be written with: the terminal's own; off a terminal ASCII, however wide."""
    return (symbols_for(console.encoding), console.width) if on_terminal(console) else (ASCII, UNBOUNDED)


def print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print lines; off a terminal without a style, one line each."""
    terminal = on_terminal(console)
    for line in map(harmless, lines):
        if terminal:
            console.print(line)
        else:
            console.file.write(line.plain.rstrip() + "\n")


def say(text: str, *, error: bool = False) -> None:
    """Print a text that may hold names and messages, escaped."""
    print(printable(text), file=sys.stderr if error else sys.stdout)


def json_text(value: Any) -> str:
    """`value` as indented JSON; numbers that are not finite become `null`."""
    return plain_json.json_text(value, indent=1)


@contextmanager
def phase_status(*, lines: bool = True) -> Iterator[Callable[[str], object]]:
    """A function that shows the current phase on stderr: on a terminal with a spinner and a clock, gone afterwards,
    else a line a phase, or nothing where `lines` is false: for what takes a second.
    """
    console = Console(stderr=True, highlight=False)
    if not on_terminal(console):
        yield _line if lines else lambda phase: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        line = shown.add_task("starting", total=None)
        yield lambda phase: shown.update(line, description=clean(phase))


def _line(phase: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {clean(phase, ASCII)}", file=sys.stderr, flush=True)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Inside, a reader that closes the pipe, as in `perdure show RUN | head`, is no fault: the rest goes nowhere."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def silence_libraries() -> None:
    """Keep libraries from writing into the live view; perdure itself checks what they warn of."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
