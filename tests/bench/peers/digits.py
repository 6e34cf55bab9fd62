"""A stream of three tasks of digits by perdure and by Avalanche, which has an environment of its own."""

import json
import os
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from perdure.agent.tasks import build_tasks
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.vision.images.arrays import arrays_of
from tests.bench.figures import Figure, Options, Report, Series, Target, UnmeasuredError, against
from tests.bench.peers.race import kept
from tests.bench.processes import run

PYTHON = "AVALANCHE_PYTHON"
"""The environment variable that names the Python of Avalanche's environment."""
RULES = ("parity", "at_least_five", "multiple_of_three")
SIZES, TRAIN, HELDOUT = (128, 64), 3000, 900
BATCH, EPOCHS, RATE, REPEATS = 64, 10, 1e-3, 3


def measure(_: Options) -> Report:
    """Whole commands, by turns.

    Raises:
        UnmeasuredError: no environment is named, or it has no Avalanche.
    """
    python = os.environ.get(PYTHON)
    if python is None:
        raise UnmeasuredError(f"Avalanche is run where {PYTHON} names the Python of an environment that has it")
    run([python, "-c", "import avalanche.training.supervised"])
    laps = [_pair(Path(python)) for _ in range(REPEATS)]
    return Report((_figure([ours for ours, _ in laps], [theirs for _, theirs in laps]),), (_note(laps),))


Lap = tuple[float, float]
"""CPU seconds, and the mean accuracy after the last task."""


def _pair(python: Path) -> tuple[Lap, Lap]:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file, job = folder / "stream.yaml", folder / "job.npz"
        file.write_text(json.dumps(stream()))  # JSON is YAML
        command = [sys.executable, "-m", "perdure.cli.main", "run", file, "--output-dir", folder / "run", "--plain"]
        ours, _ = _cpu(command)
        last = list(kept(folder / "run")[-1].values())
        np.savez(job, **_job(folder))
        theirs, printed = _cpu([python, Path(__file__).with_name("avalanche_stream.py"), job])
    card = json.loads(printed.splitlines()[-1])[-1]
    return (ours, sum(last) / len(last)), (theirs, sum(card) / len(card))


def _cpu(command: list[str | Path]) -> tuple[float, str]:
    """CPU seconds of a command, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, printed = run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, printed


def stream() -> dict[str, Any]:
    """The stream by perdure: its base is hardly pretrained, since the other side has none; the cap is never reached."""
    digits = {"type": "images", "images": "digits", "writer": "one", "train": TRAIN, "heldout": HELDOUT}
    return {
        "model": {"type": "mlp", "hidden_sizes": list(SIZES), "pretrain": {"images": 10, "num_train_epochs": 1}},
        "budget": {"kl": 1e6},
        "strategy": {"type": "fixed", "method": "sft"},
        "train": {"num_train_epochs": EPOCHS, "learning_rate": RATE, "per_device_train_batch_size": BATCH},
        "stages": [{"name": rule, "task": digits | {"rule": rule}} for rule in RULES],
        "evaluation": {"items": "all"},
    }


def _job(folder: Path) -> dict[str, Any]:
    """The same data as arrays, for a script that knows no perdure; a held-out label is the writer's."""
    tasks = build_tasks(Curriculum.model_validate(stream()))
    arrays = {
        f"{part}-{number}-{name}": array
        for number, task in enumerate(tasks)
        for part, items in (("train", task.train), ("heldout", task.heldout))
        for name, array in _arrays(items).items()
    }
    inputs = arrays["train-0-inputs"].shape[1]
    settings = {
        "stages": len(tasks),
        "sizes": [inputs, *SIZES, 10],
        "learning_rate": RATE,
        "batch": BATCH,
        "epochs": EPOCHS,
        "evaluated_at_once": HELDOUT,
        "folder": str(folder),
    }
    return arrays | {"settings": np.array(json.dumps(settings))}


def _arrays(items: tuple[Item, ...]) -> dict[str, Any]:
    found = arrays_of(items)
    return {"inputs": found.inputs_NF, "labels": found.correct_NC.argmax(1)}  # `writer: one` writes the first right one


def _figure(ours: list[Lap], theirs: list[Lap]) -> Figure:
    ours_s, theirs_s = (Series(tuple(cpu for cpu, _ in laps), "s") for laps in (ours, theirs))
    return against("digits, sft, Avalanche", ours_s, theirs_s, Target("at most", 1, "×"))


def _note(laps: list[tuple[Lap, Lap]]) -> str:
    scores = [sum(pair[side][1] for pair in laps) / len(laps) for side in (0, 1)]
    return (
        f"Digits: three tasks ({', '.join(RULES)}) of {TRAIN:,} images, {EPOCHS} passes each in batches of {BATCH} by "
        f"AdamW, {HELDOUT} held-out images of every task before the first and after each, CPU seconds of whole "
        "commands; Avalanche's `Naive` logs nothing. perdure also pretrains a little, measures the KL and writes a "
        f"score an item. Last accuracies on average {scores[0]:.3f}, and {scores[1]:.3f} by Avalanche, which counts "
        "the writer's label alone as right."
    )
