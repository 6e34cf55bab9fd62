"""The view of a run as SVG, for the README.

`python -m perdure.cli.views.svg RUN FILE.svg` draws the final view. With `STAGE/STEP` behind it, it waits until the run
of another process has come there, and draws the live view of that moment.
"""

import io
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from perdure.agent.run.find import find_run, read_run
from perdure.agent.run.report import metric_estimates
from perdure.budget.errors import PerdureError, RunError
from perdure.cli.commands.watch import ENDED, POLL, read_progress
from perdure.cli.console import say
from perdure.cli.views.live import final, live
from perdure.cli.views.state import State, with_events, with_progress
from perdure.cli.views.symbols import UNICODE, clean, harmless

WIDTH, HEIGHT = 100, 24


def run_svg(folder: Path, title: str, width: int = WIDTH) -> str:
    """The final view as SVG; the same run gives the same bytes."""
    record, events = read_run(folder)
    state = with_events(State(), events, folder)
    return drawn(final(state, metric_estimates(record, folder), UNICODE, width), title, width)


def live_svg(state: State, now: float, title: str, width: int = WIDTH) -> str:
    """The live view of a state as SVG; `now` is the time of day, seconds."""
    return drawn(live(state, now, UNICODE, width, HEIGHT), title, width)


def drawn(lines: Iterable[Text], title: str, width: int) -> str:
    """Lines of a terminal as SVG, for which a browser fetches no fonts."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(Text("\n").join(map(harmless, lines)))
    svg = console.export_svg(title=clean(title), unique_id="perdure")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def state_at(folder: Path, stage: int, step: int) -> State:
    """The state of a run that goes on, once it trains in this stage and has come to this step.

    Raises:
        RunError: it ended before, or its journal cannot be read.
    """
    state = State(title=folder.name)
    while True:
        if (folder / "journal.jsonl").is_file():
            state = with_progress(seen(state, folder), read_progress(folder))
        if state.stage >= stage and state.progress.get("phase") == "training" and state.progress.get("step", 0) >= step:
            return state
        if state.record.status in ENDED:
            raise RunError(f"{folder}: the run ended before step {step} of stage {stage}")
        time.sleep(POLL)


def seen(state: State, folder: Path) -> State:
    """The state with the journal as it is now; what the progress told of the pace is kept."""
    _, events = read_run(folder)
    return replace(with_events(State(title=state.title), events, folder), pace=state.pace, progress=state.progress)


def main(arguments: list[str]) -> int:
    """Write the file; the exit code."""
    if len(arguments) not in (2, 3):
        print("usage: python -m perdure.cli.views.svg RUN FILE.svg [STAGE/STEP]", file=sys.stderr)
        return 2
    try:
        Path(arguments[1]).write_text(_picture(arguments), encoding="utf-8")
    except (PerdureError, OSError) as error:
        say(str(error), error=True)
        return 1
    return 0


def _picture(arguments: list[str]) -> str:
    if len(arguments) == 3:
        stage, _, step = arguments[2].partition("/")
        folder = Path(arguments[0])
        return live_svg(state_at(folder, int(stage), int(step)), time.time(), f"perdure run {folder.name}")
    folder = find_run(Path(arguments[0]))
    return run_svg(folder, f"perdure show {folder.name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
