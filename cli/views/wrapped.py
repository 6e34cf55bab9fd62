"""Texts that go on below their beginning."""

import re

from rich.cells import cell_len
from rich.text import Text

MIN_TEXT = 20
"""Cells of a text, at least, however narrow the terminal."""


def hanging(label: str, text: str, width: int, listed: bool = False) -> list[Text]:
    """A dim label and a text; where that is wider than `width` it goes on below its beginning.

    It is broken at spaces, a list (`listed`) after its commas only; the terminal breaks what has neither.
    """
    room, lines = max(width - len(label), MIN_TEXT), [""]
    for part in re.split("(?<=, )" if listed else "(?<= )", text):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > room:
            lines.append("")
        lines[-1] += part
    margins = [label, *[" " * len(label)] * (len(lines) - 1)]
    return [Text.assemble((margin, "dim"), line.rstrip()) for margin, line in zip(margins, lines, strict=True)]
