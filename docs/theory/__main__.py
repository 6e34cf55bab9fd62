"""Computes the tables and figures of docs/theory.md again: `python -m docs.theory`, from the root of the checkout."""

from pathlib import Path

from docs.theory import figures
from docs.theory.page import PAGE, blocks, with_blocks

if __name__ == "__main__":
    PAGE.write_text(with_blocks(PAGE.read_text(encoding="utf-8"), blocks()), encoding="utf-8")
    figures.main(Path(__file__).parent)
