"""A stream that is run in a moment: a small base, three stages of a few steps, one of them without demonstrations."""

from typing import Any

from perdure.curriculum.schema import Curriculum


def images(rule: str, writer: str = "two") -> dict[str, Any]:
    return {"type": "images", "images": "digits", "rule": rule, "writer": writer, "train": 64, "heldout": 30}


def toy(**changes: Any) -> Curriculum:
    """The stream, with sections changed."""
    stages = [
        {"name": "parity", "method": "sft", "task": images("parity")},
        {"name": "fives", "task": images("at_least_five")},
        {"name": "threes", "task": images("multiple_of_three", writer="none")},
    ]
    fashion = {"type": "images", "images": "clothes", "rule": "label", "heldout": 30}
    return Curriculum.model_validate(
        {
            "model": {
                "type": "mlp",
                "hidden_sizes": [16],
                "seed": 0,
                "pretrain": {"images": 60, "num_train_epochs": 3},
            },
            "budget": {"kl": 0.3, "every": 2, "num_prompts": 20},
            "strategy": {"type": "rule"},
            "train": {"learning_rate": 1e-2, "max_steps": 6, "per_device_train_batch_size": 16},
            "stages": stages,
            "benchmarks": [{"type": "task", "name": "fashion", "task": fashion}],
            **changes,
        }
    )
