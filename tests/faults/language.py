"""A sample of `disk` and `power` in the language world: TRL's checkpoints, and what transformers writes."""

from pathlib import Path
from typing import Any

import tests.agent.killing
from tests.faults import disk, power
from tests.faults.rehearsal import rehearsal, spread
from tests.faults.totals import Totals, count

SAMPLE = 30
"""Cases of each of the two, evenly from all."""


def curriculum(place: Path) -> dict[str, Any]:
    """Two stages on a tiny random model, with checkpoints in each; the first is projected back."""
    tests.agent.killing.save_base(place / "base")
    toy = {"type": "python", "path": "tests.agent.worlds.language.toy:toy", "args": {"size": 12}}
    few = {"max_steps": 4, "per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 4}
    return {
        "model": {"model_name_or_path": str(place / "base"), "device": "cpu", "threads": 1},
        "budget": {"kl": 0.01, "enforce": "project", "every": 2, "num_prompts": 4, "max_completion_length": 4},
        "strategy": {"type": "fixed", "method": "sft"},
        "train": {"learning_rate": 3e-2, "save_steps": 2} | few,
        "stages": [
            {"name": "sft", "method": "sft", "task": toy},
            {"name": "rl", "method": "rl", "task": toy | {"args": {"size": 16}}},
        ],
        "evaluation": {"max_completion_length": 4},
    }


def run(limit: int | None) -> Totals:
    """Half of the cases are of the disk, half are power cuts."""
    each = SAMPLE if limit is None else max(limit // 2, 1)
    with rehearsal(curriculum) as rehearsed:
        failed = [disk.case(rehearsed, *one) for one in spread(disk.cases(rehearsed), each)]
        cut = [power.case(rehearsed, *one) for one in spread(power.cuts(rehearsed), each)]
        return count([*failed, *cut])
