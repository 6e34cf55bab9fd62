"""`perdure plan FILE`: prices a run before it begins. It writes nothing but a temporary folder."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from perdure.agent.run.event import Event
from perdure.budget.launchers import refuse_several
from perdure.cli.commands.run import target_override
from perdure.cli.console import (
    json_text,
    phase_status,
    print_lines,
    reader_may_leave,
    say,
    silence_libraries,
    symbols_and_width,
)

if TYPE_CHECKING:
    from perdure.agent.planning.costs import LifePlan
    from perdure.curriculum.schema import Curriculum


def plan_command(
    file: str,
    overrides: Sequence[str],
    target: float | None,
    strict: bool,
    as_json: bool,
    propose: tuple[int, float] | None = None,
    quick: bool = False,
) -> None:
    """Price the run of a curriculum; `target` overrides the file's `budget.target_accuracy`.

    `propose`: a budget, too, from so many steps, and with so much forgetting as a fraction at most. `quick`: time, disk
    and memory alone.

    Raises:
        ConfigError: `quick`, and a price or a budget is asked for.
        GateError: `strict`, and a stage cannot reach its target within the budget; the plan is printed first.
        ConfigError: `strict`, and nothing can be priced.
        PerdureError: whatever `perdure run` would refuse.
    """
    from perdure.curriculum.file.reader import read_curriculum
    from perdure.eval.look_up import look_up

    refuse_several("plan")
    if quick and (strict or target is not None or propose is not None):
        _refuse_quick()
    read = read_curriculum(file, [*overrides, *target_override(target)])
    silence_libraries()
    if strict:
        from perdure.agent.prices import refuse_unpriced

        refuse_unpriced(read.curriculum)
    with TemporaryDirectory(prefix="perdure-plan-") as folder, phase_status() as show:
        show("looking up what the file names")
        look_up(read)
        show("loading the libraries")
        from perdure.agent.planning.caps import Asked
        from perdure.agent.planning.plan import plan

        asked = None if propose is None else Asked(*propose)
        found = plan(read.curriculum, Path(folder), PhaseView(show), asked, quick=quick)
    _print(found, read.source.stem, as_json)
    if strict:
        _refuse_unreachable(read.curriculum, found)


def _refuse_unreachable(curriculum: "Curriculum", found: "LifePlan") -> None:
    from perdure.agent.prices import refusal
    from perdure.budget.errors import GateError

    fault = refusal(curriculum, found.prices)
    if fault is not None:
        raise GateError(fault)


def _refuse_quick() -> NoReturn:
    from perdure.budget.errors import ConfigError

    raise ConfigError(
        "--quick measures no base rates, so that nothing can be priced: leave it out, or leave out --strict, "
        "--target-accuracy and --budget"
    )


def _print(found: "LifePlan", name: str, as_json: bool) -> None:
    from perdure.agent.planning.report import plan_object
    from perdure.cli.views.plan_report import plan_report

    console = Console(file=sys.stdout, highlight=False)
    with reader_may_leave():
        if as_json:
            print(json_text(plan_object(found)))
        else:
            print_lines(plan_report(name, found, *symbols_and_width(console)), console)


@dataclass(frozen=True)
class PhaseView:
    """Shows the phases of a plan, which has no events."""

    show: Callable[[str], object]

    def past(self, events: Iterable[Event]) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""

    def step(self, step: object) -> None:
        """Nothing."""

    def progress(self, progress: dict[str, Any]) -> None:
        """Show the phase."""
        self.show(str(progress.get("phase", "")))

    def say(self, text: str) -> None:
        """A line on stderr."""
        say(text, error=True)
