"""Strategies against every fixed method that stood first anywhere: `python -m tests.bench.strategies FOLDER WORLD …`.

WORLD is `vision`, `language` or `control`. Each of its streams is run by every arm at every `--seeds`, with the same
steps and the same cap, as a sweep in FOLDER; printed are the pages of `tests.bench.contest`. With `--same-seconds` a
second sweep a stream follows, in which each arm has as many more steps as would take it as long as the slowest arm of
the first: seconds are those of all stages of a run, under whatever load there was. Killed, it goes on where it was.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from perdure.budget.errors import PerdureError
from perdure.curriculum.file.reader import read_curriculum
from tests.bench.contest import main as print_contest
from tests.bench.contest import rows_of

STREAMS = {
    "vision": ("stream-rules", "stream-labels", "stream-hard"),
    "language": ("tiny-sayings", "tiny-new", "tiny-mixed"),
    "control": ("babyai-stream",),
}
FIXED = ("rl_kl+replay", "rl_kl", "replay", "chord+replay", "rl+replay", "rl", "tilt", "sft", "low_lr_sft", "l2")
"""Fixed methods of every world: those that stood first in a stream of any, and what they are made of."""

TRIALS: dict[str, dict[str, Any]] = {
    "vision": {"num_prompts": 128, "k": 16, "share": 0.125},
    "language": {"num_prompts": 64, "k": 8},
    "control": {"num_prompts": 32, "k": 4},
}
"""The settings of trials, by world: samples cost next to nothing in vision, and episodes much in control."""

SECONDS = "life_seconds"


def arms_of(world: str) -> dict[str, dict[str, Any]]:
    """The strategy of each arm; in `race-all` every candidate starts at once."""
    fixed = {name.replace("+", "-"): {"type": "fixed", "method": name} for name in FIXED}
    tried = {name: {"type": name, **TRIALS[world]} for name in ("probe", "bandit", "race")}
    every = {**tried["race"], "min_gain": None}
    return {**fixed, "rule": {"type": "rule"}, **tried, "race-all": every}


def sweep_of(stream: str, arms: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]) -> str:
    """The file of a sweep: a stream by every arm, each a change of the curriculum."""
    return yaml.safe_dump(
        {
            "curriculum": stream,
            "seeds": list(seeds),
            "axes": [{"name": "arm", "cells": {name: dict(change) for name, change in arms.items()}}],
        },
        sort_keys=False,
    )


def freed(stream: str) -> dict[str, None]:
    """The changes by which no stage of a stream names its method, so that the strategy decides on every one."""
    stages = read_curriculum(stream).curriculum.stages
    return {f"stages.{stage.name}.method": None for stage in stages if stage.method}


def file_of(folder: Path, name: str) -> Path:
    """The file of a sweep; apart from the sweeps, since a folder beside it would be taken for its curriculum."""
    return folder / "files" / f"{name}.yaml"


def run_sweep(folder: Path, name: str, text: str) -> Path:
    """Run a sweep, or what is left of it. Returns its folder."""
    done, file = folder / name, file_of(folder, name)
    command = [sys.executable, "-m", "perdure", "resume" if done.exists() else "sweep"]
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    place = [str(done)] if done.exists() else [str(file), "--output-dir", str(done)]
    subprocess.run([*command, *place, "--plain"], check=True)
    return done


def longer(stream: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By arm the changes of `train` with which it takes as long as the slowest; the rest of the section stays."""
    took: dict[str, list[float]] = {}
    for row in rows:
        took.setdefault(str(row["method"]), []).append(float(row[SECONDS]))
    slowest = max(map(fmean, took.values()))
    train = read_curriculum(stream).curriculum.train.model_dump(mode="json", exclude_unset=True)
    return {arm: scaled(train, slowest / fmean(seconds)) for arm, seconds in took.items()}


def scaled(train: Mapping[str, Any], times: float, path: str = "train") -> dict[str, Any]:
    """The `max_steps` and `num_train_epochs` of a section, and of those inside it, so many times as large, by path."""
    found: dict[str, Any] = {}
    for name, value in train.items():
        if isinstance(value, Mapping):
            found |= scaled(value, times, f"{path}.{name}")
        elif name == "max_steps" and value:
            found[f"{path}.{name}"] = round(value * times)
        elif name == "num_train_epochs" and value:
            found[f"{path}.{name}"] = round(value * times, 3)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.strategies", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("worlds", nargs="+", choices=sorted(STREAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[200, 201, 202, 203, 204])
    parser.add_argument("--streams", nargs="+", help="some of the streams of these worlds")
    parser.add_argument("--arms", nargs="+", help="some of the arms")
    parser.add_argument("--same-seconds", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    done: list[Path] = []
    for world in asked.worlds:
        wanted = {name: one for name, one in arms_of(world).items() if name in (asked.arms or arms_of(world))}
        for stream in STREAMS[world]:
            if stream in (asked.streams or STREAMS[world]):
                arms = {name: {"strategy": one, **freed(stream)} for name, one in wanted.items()}
                done.append(run_sweep(asked.folder, stream, sweep_of(stream, arms, asked.seeds)))
    print_contest([str(path) for path in done])
    if asked.same_seconds:
        print("## at the same seconds\n")
        print_contest([str(_same_seconds(asked.folder, path, asked.seeds)) for path in done])


def _same_seconds(folder: Path, first: Path, seeds: Sequence[int]) -> Path:
    stream = first.name
    (axis,) = yaml.safe_load(file_of(folder, stream).read_text())["axes"]
    trains = longer(stream, rows_of(first))
    arms = {name: {**change, **trains[name]} for name, change in axis["cells"].items()}
    return run_sweep(folder, f"{stream}-seconds", sweep_of(stream, arms, seeds))


if __name__ == "__main__":
    try:
        main()
    except PerdureError as error:
        sys.exit(str(error))
