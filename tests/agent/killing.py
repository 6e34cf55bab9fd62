"""A whole run of a language model in a process of its own, which others kill. Importing it imports all libraries."""

from pathlib import Path
from typing import Any

import lm_eval.models.huggingface  # noqa: F401
import torch

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import locked
from perdure.agent.run.log import NullView
from perdure.agent.setup import resume, start
from perdure.curriculum.schema import Curriculum
from tests.agent.worlds.language.tiny_world import tiny_policy_parts


def save_base(folder: Path) -> None:
    """The tiny random model as a local folder."""
    model, tokenizer = tiny_policy_parts()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tiny_stream(base: Path, **changes: Any) -> Curriculum:
    """Three stages, one by each method, readings and checkpoints at different steps, and a benchmark."""
    task = {"type": "python", "path": "tests.agent.worlds.language.toy:toy"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": str(base), "device": "cpu"},
            "budget": {"kl": 0.04, "every": 2, "num_prompts": 4, "max_completion_length": 6},
            "strategy": {"type": "rule", "num_prompts": 4, "k": 4, "success_reward": 0.01, "little_budget": 0.0},
            "train": {
                "learning_rate": 3e-3,
                "max_steps": 8,
                "save_steps": 3,
                "per_device_train_batch_size": 8,
                "num_generations": 4,
                "max_completion_length": 6,
            },
            "stages": [
                {"name": "sft", "method": "sft", "task": task},
                {"name": "auto", "task": task | {"args": {"size": 20}}},
                {"name": "rl", "method": "rl", "task": task | {"args": {"size": 28}}},
            ],
            "benchmarks": [{"tasks": "perdure_largest", "include_path": "builtin", "limit": 6}],
            "evaluation": {"max_completion_length": 6},
        }
        | changes
    )


def start_or_resume(curriculum: Curriculum, path: Path) -> None:
    """What `perdure run` and `perdure resume` do, without a terminal."""
    torch.set_num_threads(1)
    begun = resume(path, NullView()) if path.exists() else start(curriculum, path, NullView())
    with locked(begun.folder):
        run_curriculum(begun)
