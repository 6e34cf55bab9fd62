"""Small curricula of the control world for tests."""

from collections.abc import Sequence
from typing import Any

from perdure.curriculum.schema import Curriculum

EXPERT = {"type": "expert", "expert": "tests.point_world:expert"}


def point(**settings: Any) -> dict[str, Any]:
    """A task of the point that moves."""
    small = {"instruction": "go", "horizon": 8, "train": 4, "heldout": 4, "demonstrations": EXPERT}
    return {"type": "gymnasium", "id": "tests.point_world:Point-v0"} | small | settings


def base(*known: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A model whose base imitates a few episodes of each task."""
    tasks = [{"task": one, "episodes": 3} for one in known or (point(),)]
    made = {"pretrain": {"max_steps": 150, "learning_rate": 1e-2, "per_device_train_batch_size": 16, "tasks": tasks}}
    small = {"type": "control", "policy": {"type": "mlp", "hidden_sizes": [8]}, "bins": 5}
    return small | made | settings


def curriculum(
    tasks: Sequence[dict[str, Any]],
    *,
    method: str = "sft",
    max_steps: int = 2,
    model: dict[str, Any] | None = None,
    **settings: Any,
) -> Curriculum:
    """Stages of one method, `stage1`, `stage2` and so on."""
    stages = [{"name": f"stage{number}", "method": method, "task": one} for number, one in enumerate(tasks, 1)]
    return Curriculum.model_validate(
        {
            "model": model or base(),
            "budget": {"kl": 5.0, "enforce": "observe", "num_prompts": 4},
            "strategy": {"type": "fixed", "method": method},
            "train": {"max_steps": max_steps},
            "stages": stages,
        }
        | settings
    )
