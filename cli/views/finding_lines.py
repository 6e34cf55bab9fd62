"""The findings of a run as lines: what its reader must know, the most serious first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from perdure.agent.run.state import RunState
from perdure.cli.views.symbols import Symbols, clean
from perdure.cli.views.wrapped import hanging

if TYPE_CHECKING:  # it brings numpy
    from perdure.agent.run.diagnostics.finding import Finding

MOST = 8
"""Findings that are printed at the end of a run."""


def finding_lines(
    record: RunState, found: "Sequence[Finding]", symbols: Symbols, width: int, most: int | None = None
) -> list[Text]:
    """A title and a finding a line, broken at `width`; beyond `most`, how many more there are."""
    shown = found[:most]
    lines = [Text("to know", style="bold")] if found else []
    for one in shown:
        lines += hanging("  ", clean(f"{place(record, one)}: {one.text}", symbols), width)
    if len(found) > len(shown):
        lines.append(Text(f"  and {len(found) - len(shown)} more: perdure show", style="dim"))
    return lines


def place(record: RunState, found: "Finding") -> str:
    """`stage 2 german`, `base`."""
    row = record.row(found.stage)
    name = row.name if row is not None else "".join(record.tasks[found.stage - 1 : found.stage])
    return f"stage {found.stage} {name}" if found.stage else "base"
