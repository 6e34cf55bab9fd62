"""The computed parts of docs/theory.md, between markers; the rest is written by hand."""

import re
from collections.abc import Mapping
from pathlib import Path

from docs.theory import tables

PAGE = Path(__file__).parent.parent / "theory.md"
BLOCK = re.compile(r"<!-- theory:(\w+) -->\n.*?<!-- theory:end -->", re.DOTALL)


def blocks() -> dict[str, str]:
    """Every table of the page, by the name in its marker; takes a few seconds."""
    return {
        "methods": tables.methods_table(),
        "random": tables.random_table(),
        "drift": tables.drift_table(),
        "coins": tables.coins_table(),
        "states": tables.states_table(),
    }


def with_blocks(text: str, content: Mapping[str, str]) -> str:
    """The page with the text between its markers replaced.

    Raises:
        ValueError: the page lacks a block, or has one that is not computed.
    """
    if sorted(BLOCK.findall(text)) != sorted(content):
        raise ValueError(f"the page has the blocks {sorted(BLOCK.findall(text))}, computed are {sorted(content)}")
    return BLOCK.sub(lambda block: f"<!-- theory:{block[1]} -->\n\n{content[block[1]]}\n\n<!-- theory:end -->", text)
