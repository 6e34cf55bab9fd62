"""The curriculum `drawers`, method by method: `python -m tests.bench.drawers FILE.json --seeds 0 1 --arms rl sft+kl`.

Each cell, an arm at a seed, is one whole run. What it comes to is added to FILE at once; a cell that is in it is not
run again, so that the bench can be stopped and taken up. Then the table is printed.

`grid` is success on the 16 starts that are learned from, 6 episodes a start, sampled at temperature 1; `unseen` is that
on the scorecard's held-out starts. `kept` is the mean over the kept tasks, `kl` the last reading, nats a decision.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder, read_json
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import start
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task

PER_START = 6
RATES, LENGTHS = ("1e-4", "3e-4", "1e-3"), (25, 100, 400)


def _by(method: str, **settings: object) -> tuple[str, ...]:
    objective = method.partition("+")[0]
    return (
        f"stages.pick_place.method={method}",
        *(f"train.{objective}.{name}={value}" for name, value in settings.items()),
    )


ARMS: dict[str, tuple[str, ...]] = {
    **{f"sft {rate} x{steps}": _by("sft", learning_rate=rate, max_steps=steps) for rate in RATES for steps in LENGTHS},
    "rl": (),
    "sft+replay": _by("sft+replay"),
    "sft+kl": _by("sft+kl"),
    "reinforce": _by("reinforce"),
    "rl+kl": _by("rl+kl"),
    "tilt": _by("tilt"),
}


def main() -> int:
    """Run what is missing, print the table; 1 if a cell could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drawers", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, "all"], default=["rl"])
    parser.add_argument("--set", nargs="+", default=[], dest="settings", help="overrides of every cell")
    given = parser.parse_args()
    arms = list(ARMS) if "all" in given.arms else given.arms
    found = taken_up(given.file, given.settings)
    failed = False
    for seed in given.seeds:
        for arm in arms:
            if not any(row["arm"] == arm and row["seed"] == seed for row in found["cells"]):
                try:
                    found["cells"].append(cell(arm, seed, given.settings))
                except ConfigError as error:
                    print(f"{arm}, seed {seed}: {error}", file=sys.stderr)
                    failed = True
                    continue
                written = given.file.with_suffix(".partial")
                written.write_text(json.dumps(found, indent=1) + "\n")
                written.replace(given.file)
                print(line(found["cells"][-1]), flush=True)
    print("\n".join(table(found["cells"])))
    return int(failed)


def taken_up(file: Path, settings: Sequence[str]) -> dict[str, Any]:
    """What a file has, or nothing yet.

    Raises:
        SystemExit: its cells are of another curriculum.
    """
    digest = sha256(read_curriculum("drawers", settings).curriculum.model_dump_json().encode()).hexdigest()
    found: dict[str, Any] = read_json(file) if file.exists() else {"curriculum": digest, "cells": []}
    if found["curriculum"] != digest:
        sys.exit(f"{file} has cells of another curriculum or of other settings; name another file")
    return found


def cell(arm: str, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """One run, and what it comes to.

    Raises:
        ConfigError: the method is not there, or Meta-World is not installed.
    """
    curriculum = read_curriculum("drawers", [*settings, *ARMS[arm], f"seed={seed}"]).curriculum
    began, used = time.perf_counter(), time.process_time()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        life = start(curriculum, folder, NullView())
        base_grid = on_the_grid(life.world.policy, life.tasks[0])
        run_curriculum(life)
        row = figures(curriculum, folder)
        row |= {"base_grid": base_grid, "grid": on_the_grid(life.world.policy, life.tasks[0])}
        shutil.rmtree(folder)
    seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    return {"arm": arm, "seed": seed, **row, **seconds}


def on_the_grid(policy: Any, task: Task) -> float:
    """Success on the starts that are learned from, sampled."""
    starts = [item.prompt for item in task.train for _ in range(PER_START)]
    return fmean(one.reward for one in policy.play(starts, temperature=1.0, seed=1))


def figures(curriculum: Curriculum, folder: Path) -> dict[str, Any]:
    """The scores and the last reading of a finished run."""
    record, _ = read_record(RunFolder(folder))
    base, last = record.rows[0], record.rows[-1]
    task = curriculum.stages[0].name
    return {
        "base_unseen": base.scores[task].value,
        "unseen": last.scores[task].value,
        "base_kept": fmean(base.scores[name].value for name in record.benchmarks),
        "kept": fmean(last.scores[name].value for name in record.benchmarks),
        "each": {name: [base.scores[name].value, last.scores[name].value] for name in record.benchmarks},
        "kl": last.readings[-1].kl.value,
        "kl_stderr": last.readings[-1].kl.stderr,
        "steps": last.steps,
    }


COLUMNS = ("base_grid", "grid", "base_unseen", "unseen", "base_kept", "kept", "kl", "seconds")


def line(row: dict[str, Any]) -> str:
    """A cell as a row of a table."""
    return f"| {row['arm']} | {row['seed']} | " + " | ".join(f"{row[name]:.3g}" for name in COLUMNS) + " |"


def table(cells: Sequence[dict[str, Any]]) -> list[str]:
    """All cells as a table, and the means of arms with several seeds."""
    head = f"| arm | seed | {' | '.join(name.replace('_', ' ') for name in COLUMNS)} |"
    rows = [line(row) for row in sorted(cells, key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))]
    for arm in dict.fromkeys(row["arm"] for row in cells):
        own = [row for row in cells if row["arm"] == arm]
        if len(own) > 1:
            mean = {name: fmean(row[name] for row in own) for name in COLUMNS}
            rows.append(line({"arm": f"{arm}, mean", "seed": f"n={len(own)}", **mean}))
    return [head, "|---" * (len(COLUMNS) + 2) + "|", *rows]


if __name__ == "__main__":
    sys.exit(main())
