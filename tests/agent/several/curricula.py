"""Curricula of a tiny random model that one process and two can train alike."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from perdure.curriculum.task import Item, Reward, Task
from tests.agent.worlds.language.toy import toy

FLAG, TRAINER = "PERDURE_TEST_FLAG", "PERDURE_TEST_TRAINER"
"""Of the environment: a file with the number of a signal, which is removed when process 1 is sent that signal, and the
number of that process.
"""


@dataclass(frozen=True)
class Interrupting:
    """A reward that, asked by process 1 while the file is there, sends it a signal in the middle of an update."""

    reward: Reward

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None
    ) -> list[float | None]:
        """See `Reward`."""
        flag = Path(os.environ.get(FLAG, "none"))  # rewards are asked in a process of their own
        if os.environ.get("RANK") == "1" and flag.exists():
            number = int(flag.read_text())
            flag.unlink()
            os.kill(int(os.environ[TRAINER]), number)
        return self.reward(items, completions, completion_ids)


def interrupting(*, seed: int, train: int, heldout: int) -> Task:
    """The toy task, whose reward may end its process."""
    task = toy(seed=seed, train=train, heldout=heldout, size=16)
    assert task.reward is not None
    return Task(task.name, task.train, task.heldout[:4], Interrupting(task.reward))


ALIKE: dict[str, dict[str, Any]] = {
    "sft+l2": {"sft": {"token_weight": "entropy"}},
    "gate+l2": {"gate": {"success_reward": 1e9, "sft_weight": 1.0}},
    "chord+low_rank": {"chord": {"mu_start": 1.0, "mu_end": 1.0, "sft_batch_size": 3}, "trl": {"optim": "adamw_torch"}},
    "sdft": {"trl": {"optim": "sgd", "top_k": 1}},
    "sft+average": {},
}
"""Methods, with settings under which no sampled answer decides what is learned: every prompt unsolved, the imitation's
weight at 1, the likeliest answer alone. Modifiers on texts that the base sampled are not among them.
"""

SAMPLING: dict[str, dict[str, Any]] = {
    "rl+replay": {},
    "tilt+ewc": {},
    "chord+kl": {},
    "sdft+cpo": {},
    "sft+self_replay": {},
}
"""Methods that both processes must end with the same weights, whatever they are."""


def curriculum(base: Path, stages: dict[str, dict[str, Any]], batch: int, **more: Any) -> dict[str, Any]:
    """Stages of two steps with so many items in each process; by plain SGD, so that weights differ as gradients do."""
    task = {"type": "python", "path": "tests.agent.several.curricula:interrupting"}
    return {
        "model": {"model_name_or_path": str(base), "device": "cpu"},
        "budget": {"kl": 5.0, "every": 1, "num_prompts": 4, "max_completion_length": 6},
        "strategy": {"type": "fixed", "method": "sft"},
        "benchmarks": [{"tasks": "perdure_largest", "include_path": "builtin", "limit": 5}],
        "train": {
            "learning_rate": 0.05,
            "warmup_steps": 0,
            "max_steps": 2,
            "save_steps": 1,
            "per_device_train_batch_size": batch,
            "num_generations": 4,
            "max_completion_length": 6,
            "trl": {"optim": "sgd"},
            "sdft": {"teacher_template": "{prompt} like {demonstration}?"},
        },
        "stages": [
            {"name": method.replace("+", "-"), "method": method, "task": task, "train": train}
            for method, train in stages.items()
        ],
        "evaluation": {"max_completion_length": 6},
    } | more


def write(path: Path, content: dict[str, Any]) -> Path:
    """The curriculum as a file."""
    path.write_text(yaml.safe_dump(content))
    return path
