"""`perdure list WHAT`: the things that a curriculum can name, one line each."""

import sys
from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from perdure.budget.errors import ConfigError
from perdure.cli.console import json_text, on_terminal, print_lines, reader_may_leave
from perdure.cli.views.listing import listing
from perdure.cli.views.symbols import UNBOUNDED, symbols_for
from perdure.curriculum.file import listing as lists
from perdure.curriculum.file.listing import Listed
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.worlds.registry import worlds
from perdure.eval.listing import benchmarks

GYM = 'python -c "import reasoning_gym as r; print(*r.factory.DATASETS)"'

LISTS: dict[str, tuple[Callable[[], list[Listed]], str]] = {
    "curricula": (lists.curricula, "run one: perdure run NAME"),
    "sweeps": (lists.sweeps, "run one: perdure sweep NAME"),
    "methods": (lists.methods, "name one as `strategy.method` or as a stage's `method`"),
    "strategies": (lists.strategies, "name one as `strategy.type`"),
    "rewards": (lists.rewards, "name one under its key of a stage's task"),
    "benchmarks": (benchmarks, "name one under `benchmarks`; all tasks of lm-eval: lm-eval ls tasks"),
    "tasks": (lists.tasks, f"name one as `task.type`; reasoning-gym's datasets:\n{GYM}"),
}
"""Each list, and the line below it that says how its things are used."""


def list_command(what: str, as_json: bool) -> None:
    """Print a list as a table, or as a JSON array of objects.

    Raises:
        ConfigError: there is no such list.
    """
    if what not in LISTS:
        raise ConfigError(f"there is no list {what!r}{did_you_mean(what, LISTS)}; there are {', '.join(LISTS)}")
    make, usage = LISTS[what]
    rows = make()
    console = Console(file=sys.stdout, highlight=False)
    with reader_may_leave():
        if as_json:
            print(json_text([asdict(row) for row in rows]))
            return
        width = console.width if on_terminal(console) else UNBOUNDED
        print_lines(listing(rows, list(worlds()), symbols_for(console.encoding), width), console)
        print_lines([Text(line, style="dim") for line in ("", *usage.splitlines())], console)
