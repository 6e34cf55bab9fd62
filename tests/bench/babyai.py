"""The curriculum `babyai`, method by method: `python -m tests.bench.babyai FILE.json --seeds 0 1 2`.

Each cell, an arm at a seed, is one whole run. What it comes to is added to FILE at once; a cell that is in it is not
run again, so that the bench can be stopped and taken up. Then the table is printed, and the means of each arm with
intervals over seeds (Student's, 95 %).

`new` is success on the held-out starts of the new level and `kept` the mean over the levels that are kept, by actions
sampled once a start; `KL` is the last reading, nats a decision. `seconds` are those of the run, and `base seconds`
those of the base, which the arms of a seed share: only the first of them makes it.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from scipy import stats

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder, read_json
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import start
from perdure.curriculum.file.reader import read_curriculum

SFT = "strategy.method=sft"
ARMS: dict[str, tuple[str, ...]] = {
    "rl": (),
    "sft 1e-3": (SFT, "train.sft.learning_rate=1.0e-3"),
    "sft 1e-4": (SFT, "train.sft.learning_rate=1.0e-4"),
}
COLUMNS = ("base_new", "base_kept", "new", "kept", "kl", "steps", "base_seconds", "seconds")

Cell = dict[str, Any]


def main() -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.babyai", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--set", nargs="+", default=[], dest="settings", help="overrides of every cell")
    given = parser.parse_args()
    described = read_curriculum("babyai", given.settings).curriculum.model_dump(mode="json")
    found = read_json(given.file) if given.file.exists() else {"curriculum": described, "cells": []}
    if found["curriculum"] != described:
        sys.exit(f"{given.file} has cells of another curriculum or of other settings; name another file")
    for seed in given.seeds:
        for arm in given.arms:
            if not any((row["arm"], row["seed"]) == (arm, seed) for row in found["cells"]):
                found["cells"].append(cell(arm, seed, given.settings))
                written = given.file.with_suffix(".partial")
                written.write_text(json.dumps(found, indent=1) + "\n")
                written.replace(given.file)
                print(line(found["cells"][-1]), flush=True)
    print("\n".join(table(found["cells"])))
    return 0


def cell(arm: str, seed: int, settings: Sequence[str]) -> Cell:
    """One run, and what it comes to."""
    curriculum = read_curriculum("babyai", [*settings, *ARMS[arm], f"seed={seed}"]).curriculum
    began = time.perf_counter()
    with TemporaryDirectory() as scratch:
        life = start(curriculum, Path(scratch) / "run", NullView())
        made = time.perf_counter()
        run_curriculum(life)
        record, _ = read_record(RunFolder(Path(scratch) / "run"))
    base, last, task = record.rows[0], record.rows[-1], curriculum.stages[0].name
    return {
        "arm": arm,
        "seed": seed,
        "base_new": base.scores[task].value,
        "base_kept": fmean(base.scores[name].value for name in record.benchmarks),
        "new": last.scores[task].value,
        "kept": fmean(last.scores[name].value for name in record.benchmarks),
        "each": {name: [base.scores[name].value, last.scores[name].value] for name in record.benchmarks},
        "kl": last.readings[-1].kl.value,
        "kl_stderr": last.readings[-1].kl.stderr,
        "steps": last.steps,
        "base_seconds": made - began,
        "seconds": time.perf_counter() - made,
    }


def line(row: Mapping[str, Any]) -> str:
    """A cell as a row of a table."""
    return f"| {row['arm']} | {row['seed']} | {' | '.join(f'{row[name]:.3g}' for name in COLUMNS)} |"


def table(cells: Sequence[Cell]) -> list[str]:
    """All cells, and the mean of each arm with the half of its interval over seeds."""
    arms = dict.fromkeys(row["arm"] for row in cells)
    rows = [line(row) for arm in arms for row in sorted(cells, key=lambda one: int(one["seed"])) if row["arm"] == arm]
    for arm in arms:
        own = [row for row in cells if row["arm"] == arm]
        if len(own) > 1:
            means = " | ".join(interval([float(row[name]) for row in own]) for name in COLUMNS)
            rows.append(f"| {arm}, mean | n={len(own)} | {means} |")
    names = " | ".join(name.replace("_", " ") for name in COLUMNS)
    return [f"| arm | seed | {names} |", "|---" * (len(COLUMNS) + 2) + "|", *rows]


def interval(values: Sequence[float]) -> str:
    """`0.95 ± 0.02`: the mean, and half of Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):.3g} ± {half:.2g}"


if __name__ == "__main__":
    sys.exit(main())
