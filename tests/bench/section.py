"""The part of docs/experiments/speed.md that the benchmarks write; everything outside it is left as it was."""

import re
from collections.abc import Mapping, Sequence

from tests.bench.figures import COLUMNS, Report

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEADING = re.compile(r"^### (\S+)$", re.MULTILINE)


def render(report: Report, machine: str) -> str:
    """One benchmark's table and notes, in Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(figure.cells for figure in report.figures)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n\n".join([table] * bool(report.figures) + [*report.notes, f"Measured on: {machine}."])


def with_section(text: str, parts: Mapping[str, str], order: Sequence[str]) -> str:
    """`text` with the parts of the benchmarks that were measured now; those of the others stay, in the given order.

    The section is added at the end where there is none. Writing the same again changes nothing.

    Raises:
        ValueError: the markers do not come once each and in order.
    """
    if BEGIN not in text and END not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n".lstrip()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"`{BEGIN}` and `{END}` must come once each, in this order")
    before, _, rest = text.partition(BEGIN)
    section, _, after = rest.partition(END)
    merged = _parts(section) | dict(parts)
    names = [name for name in order if name in merged]
    body = "".join(f"### {name}\n\n{merged[name]}\n\n" for name in names)
    return f"{before}{BEGIN}\n\n{body}{END}{after}"


def _parts(section: str) -> dict[str, str]:
    _, *pieces = HEADING.split(section)
    return {name: content.strip() for name, content in zip(pieces[::2], pieces[1::2], strict=True)}
