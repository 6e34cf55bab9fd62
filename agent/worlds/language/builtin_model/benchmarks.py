"""Writes the data of the shipped benchmarks, always the same:

    python -m perdure.agent.worlds.language.builtin_model.benchmarks

Every question is held out from the built-in model's pretraining (`perdure.curriculum.worlds.language.skills.skills`).
"""

import argparse
import json
import re
from importlib.resources import files
from pathlib import Path
from random import Random

from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.skills.phrases import DAYS, MONTHS
from perdure.curriculum.worlds.language.skills.skills import SKILLS, examples

SHIPPED = Path(str(files("perdure.eval.shipped")))
ITEMS = 100

JsonRow = dict[str, object]


def spell_rows(rng: Random) -> list[JsonRow]:
    """Half numbers to spell, half letters to reverse."""
    return _halves("spell_number", "reverse", rng)


def letters_rows(rng: Random) -> list[JsonRow]:
    """Half letters to raise to capitals, half letters whose next one is asked for."""
    return _halves("capitals", "next_letter", rng)


def largest_rows(rng: Random) -> list[JsonRow]:
    """Which of three numbers is the largest; all of two digits, so that none is another's beginning."""
    asked = [(item, re.findall(r"\d+", item.prompt)) for item in _items("largest", rng, 2 * ITEMS)]
    alike = [(item, choices) for item, choices in asked if all(len(choice) == 2 for choice in choices)]
    return [{**_row(item), "choices": choices} for item, choices in alike[:ITEMS]]


def calendar_rows(rng: Random) -> list[JsonRow]:
    """The neighbouring day or month, among four."""
    rows: list[JsonRow] = []
    for item in _items("calendar", rng, ITEMS):
        others = [name for name in (DAYS if item.answer in DAYS else MONTHS) if name != item.answer]
        choices = [item.answer, *rng.sample(others, 3)]
        rng.shuffle(choices)
        rows.append({**_row(item), "choices": choices})
    return rows


BENCHMARKS = {
    "perdure_spell": spell_rows,
    "perdure_letters": letters_rows,
    "perdure_largest": largest_rows,
    "perdure_calendar": calendar_rows,
}


def write_benchmarks(folder: Path) -> None:
    """One .jsonl file a benchmark."""
    for name, rows in BENCHMARKS.items():
        lines = [json.dumps(row) + "\n" for row in rows(Random(name))]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def _halves(one: str, other: str, rng: Random) -> list[JsonRow]:
    return [_row(item) for skill in (one, other) for item in _items(skill, rng, ITEMS // 2)]


def _items(skill: str, rng: Random, count: int) -> list[Item]:
    return examples(SKILLS[skill], rng, count, held_out=True)


def _row(item: Item) -> JsonRow:
    return {"question": item.prompt, "answer": item.answer}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the data of the shipped benchmarks.")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="folder to write")
    write_benchmarks(parser.parse_args().output)
