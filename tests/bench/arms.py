"""A shipped curriculum, arm by arm and seed by seed, each a whole run; what each comes to is kept in a file.

A cell that is in the file is not run again, so that a bench can be stopped and taken up. Then the table is printed, and
the mean of each arm with intervals over seeds (Student's, 95 %).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from scipy import stats

from perdure.agent.life import Life
from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder, read_json
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import start
from perdure.curriculum.file.reader import read_curriculum

Cell = dict[str, Any]


def no_lines(cells: Sequence[Cell]) -> list[str]:
    """Nothing is said of the cells beside their table."""
    return []


def nothing(life: Life) -> dict[str, float]:
    """No figures beside those of the journal."""
    return {}


@dataclass(frozen=True)
class Arms:
    """The arms of a curriculum: settings by name; `beside` measures the policy, at the run's beginning and at its end.

    `columns` are those of the table; `said` are lines below it.
    """

    curriculum: str
    settings: Mapping[str, tuple[str, ...]]
    columns: tuple[str, ...]
    beside: Callable[[Life], dict[str, float]] = nothing
    said: Callable[[Sequence[Cell]], list[str]] = no_lines


def main(arms: Arms, description: str | None) -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{arms.curriculum}", description=description)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--arms", nargs="+", choices=[*arms.settings, "all"], default=["rl"])
    parser.add_argument("--set", nargs="+", default=[], dest="settings", help="overrides of every cell")
    given = parser.parse_args()
    names = list(arms.settings) if "all" in given.arms else given.arms
    found = taken_up(given.file, arms.curriculum, given.settings)
    for seed in given.seeds:
        for name in names:
            if not any((row["arm"], row["seed"]) == (name, seed) for row in found["cells"]):
                found["cells"].append(cell(arms, name, seed, given.settings))
                written = given.file.with_suffix(".partial")
                written.write_text(json.dumps(found, indent=1) + "\n")
                written.replace(given.file)
                print(line(found["cells"][-1], arms.columns), flush=True)
    print("\n".join([*table(found["cells"], arms), "", *arms.said(found["cells"])]))
    return 0


def taken_up(file: Path, name: str, settings: Sequence[str]) -> dict[str, Any]:
    """What a file has, or nothing yet.

    Raises:
        SystemExit: its cells are of another curriculum.
    """
    digest = sha256(read_curriculum(name, settings).curriculum.model_dump_json().encode()).hexdigest()
    found: dict[str, Any] = read_json(file) if file.exists() else {"curriculum": digest, "cells": []}
    if found["curriculum"] != digest:
        sys.exit(f"{file} has cells of another curriculum or of other settings; name another file")
    return found


def cell(arms: Arms, name: str, seed: int, settings: Sequence[str]) -> Cell:
    """One run, and what it comes to: success on unseen starts of the new task, the mean of what is kept, the last KL.

    `base_seconds` are those of the base, which the arms of a seed share: only the first of them makes it.
    """
    curriculum = read_curriculum(arms.curriculum, [*settings, *arms.settings[name], f"seed={seed}"]).curriculum
    began, used = time.perf_counter(), time.process_time()
    with TemporaryDirectory() as scratch:
        life = start(curriculum, Path(scratch) / "run", NullView())
        made = time.perf_counter()
        before = {f"base_{name}": value for name, value in arms.beside(life).items()}
        run_curriculum(life)
        beside = before | arms.beside(life)
        record, _ = read_record(RunFolder(Path(scratch) / "run"))
    base, last, task = record.rows[0], record.rows[-1], curriculum.stages[0].name
    return {
        "arm": name,
        "seed": seed,
        "base_unseen": base.scores[task].value,
        "unseen": last.scores[task].value,
        "base_kept": fmean(base.scores[name].value for name in record.benchmarks),
        "kept": fmean(last.scores[name].value for name in record.benchmarks),
        "each": {name: [base.scores[name].value, last.scores[name].value] for name in record.benchmarks},
        "kl": last.readings[-1].kl.value,
        "kl_stderr": last.readings[-1].kl.stderr,
        "steps": last.steps,
        **beside,
        "base_seconds": made - began,
        "seconds": time.perf_counter() - made,
        "cpu_seconds": time.process_time() - used,
    }


def line(row: Cell, columns: Sequence[str]) -> str:
    """A cell as a row of a table."""
    return f"| {row['arm']} | {row['seed']} | {' | '.join(f'{row[name]:.3g}' for name in columns)} |"


def table(cells: Sequence[Cell], arms: Arms) -> list[str]:
    """All cells, and the mean of each arm with the half of its interval over seeds."""
    ordered = sorted(cells, key=lambda row: (list(arms.settings).index(row["arm"]), row["seed"]))
    rows = [line(row, arms.columns) for row in ordered]
    for name in dict.fromkeys(row["arm"] for row in ordered):
        own = [row for row in ordered if row["arm"] == name]
        if len(own) > 1:
            means = " | ".join(interval([float(row[column]) for row in own]) for column in arms.columns)
            rows.append(f"| {name}, mean | n={len(own)} | {means} |")
    names = " | ".join(name.replace("_", " ") for name in arms.columns)
    return [f"| arm | seed | {names} |", "|---" * (len(arms.columns) + 2) + "|", *rows]


def interval(values: Sequence[float]) -> str:
    """`0.95 ± 0.02`: the mean, and half of Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):.3g} ± {half:.2g}"
