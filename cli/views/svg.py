"""`python -m perdure.cli.views.svg RUN FILE.svg`: the final view of a run as SVG, for the README."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from perdure.agent.run.report import metric_estimates
from perdure.budget.errors import PerdureError
from perdure.cli.console import say
from perdure.cli.find_run import find_run, read_run
from perdure.cli.views.live import final
from perdure.cli.views.state import State, with_events
from perdure.cli.views.symbols import UNICODE, clean, harmless

WIDTH = 100


def run_svg(folder: Path, title: str, width: int = WIDTH) -> str:
    """The final view as SVG; the same run gives the same bytes, and a browser fetches no fonts for it."""
    record, events = read_run(folder)
    state = with_events(State(), events, folder)
    lines = final(state, metric_estimates(record, folder), UNICODE, width)
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(Text("\n").join(map(harmless, lines)))
    svg = console.export_svg(title=clean(title), unique_id="perdure")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write the file; the exit code."""
    if len(arguments) != 2:
        print("usage: python -m perdure.cli.views.svg RUN FILE.svg", file=sys.stderr)
        return 2
    try:
        folder = find_run(Path(arguments[0]))
        Path(arguments[1]).write_text(run_svg(folder, f"perdure show {folder.name}"), encoding="utf-8")
    except (PerdureError, OSError) as error:
        say(str(error), error=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
