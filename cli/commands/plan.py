"""`perdure plan FILE`: what a life would take, before it is lived. Nothing is written but to a temporary folder."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.status import Status

from perdure.agent.run.events import Event
from perdure.cli.commands.run import quieten, targeted
from perdure.cli.commands.show import UNBOUNDED, strict
from perdure.cli.console import reader_may_leave
from perdure.cli.views.live import on_terminal
from perdure.cli.views.symbols import ASCII, glyphs_for


def plan(file: str, overrides: Sequence[str], target: float | None, refuse: bool, as_json: bool) -> None:
    """Price the life that a curriculum describes; `target` is its `budget.target_accuracy` instead of the file's.

    Raises:
        GateError: `refuse`, and a stage cannot reach its target within the budget; said after the plan is printed.
        ConfigError: `refuse`, and nothing can be priced.
        PerdureError: whatever `perdure run` would refuse.
    """
    from perdure.curriculum.file.reader import read_curriculum

    read = read_curriculum(file, [*overrides, *targeted(target)])
    quieten()
    if refuse:
        from perdure.agent.prices import refuse_unpriced

        refuse_unpriced(read.curriculum)
    with TemporaryDirectory(prefix="perdure-plan-") as folder, Phases() as view:
        from perdure.agent.planning.plan import plan as plan_life

        found = plan_life(read.curriculum, Path(folder), view)
    from perdure.agent.planning.report import plan_object
    from perdure.cli.views.plan_page import page

    console = Console(file=sys.stdout, highlight=False)
    terminal = on_terminal(console)
    with reader_may_leave():
        if as_json:
            print(json.dumps(strict(plan_object(found)), allow_nan=False, indent=1))
        else:
            width = console.width if terminal else UNBOUNDED
            for line in page(read.source.stem, found, glyphs_for(console.encoding) if terminal else ASCII, width):
                console.print(line) if terminal else print(line.plain.rstrip())
    if refuse:
        from perdure.agent.prices import refusal
        from perdure.budget.errors import GateError

        fault = refusal(read.curriculum, found.prices)
        if fault is not None:
            raise GateError(fault)


class Phases:
    """Says on stderr what is being measured, where that is a terminal; the line is gone afterwards."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = Status("", console=self._console) if on_terminal(self._console) else None

    def __enter__(self) -> "Phases":
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def past(self, events: Iterable[Event]) -> None:
        """A plan has no past."""

    def event(self, event: Event) -> None:
        """A plan has no events."""

    def progress(self, progress: dict[str, Any]) -> None:
        """What goes on."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(str(progress.get("phase", ""))))
