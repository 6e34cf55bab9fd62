"""`kill -9` at random moments of a run in the control world: it ends with the same weights, scores and readings."""

import multiprocessing
import random
from pathlib import Path
from typing import Any

from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import active_seconds
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_run import in_memory, steps_of
from tests.agent.test_kill import lives, outcome, record_of
from tests.agent.worlds.control.point_runs import curriculum, point
from tests.faults.totals import Totals, count

KILLS = 100


def stream() -> Curriculum:
    """Three stages by methods that play and imitate, with checkpoints inside each; the first is projected back."""
    methods = {"right": "rl+kl", "up": "chord+replay+ewc", "down": "tilt+low_rank"}
    return curriculum(
        budget={"kl": 0.05, "every": 2, "num_prompts": 4, "enforce": ["penalty", "project"]},
        train={
            "max_steps": 18,
            "learning_rate": 1e-2,
            "per_device_train_batch_size": 4,
            "save_steps": 3,
        },
        stages=[{"name": goal, "method": method, "task": point(goal)} for goal, method in methods.items()],
        benchmarks=[{"type": "task", "name": "left", "task": point("left", demonstrations=None)}],
    )


def run(limit: int | None) -> Totals:
    """As many kills; each counts as held if the run that it was in ended as the one that was never killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.agent.killing", "tests.agent.worlds.control.point_runs"])
    with in_memory() as folder:
        return count(_killed(context, folder, KILLS if limit is None else limit))


def _killed(context: Any, folder: Path, kills: int) -> list[str | None]:
    config, moments = stream(), random.Random(12)
    assert lives(context, config, folder / "whole", 600)
    whole = _came_to(folder / "whole")
    seconds = active_seconds(read_journal(folder / "whole" / "journal.jsonl"))
    found: list[str | None] = []
    number = 0
    while len(found) < kills:
        path, here = folder / f"life{number}", 0
        while len(found) + here < kills and not lives(context, config, path, moments.uniform(0, 0.5) * seconds):
            here += 1
        assert lives(context, config, path, 600)
        lost = None if _came_to(path) == whole else f"run {number}, killed {here} times, ended otherwise"
        found += [lost] * here
        number += 1
    return found


def _came_to(path: Path) -> Any:
    """What a run came to, and its every step."""
    return outcome(record_of(path)), steps_of(path).to_json()
