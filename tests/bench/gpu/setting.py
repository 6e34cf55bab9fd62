"""The device on which a part is measured, its models, and its curricula."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from tests.bench.material import STAGE

Line = tuple[str, str]
"""A figure's name, and its value in words."""

LARGE = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30} | {
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
}
"""SmolLM2-135M's shape."""
SMALL = (
    LARGE
    | {"vocab_size": 2048, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    | {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
)


@dataclass(frozen=True)
class Setting:
    """`small`: shapes that a CPU computes in seconds, whose times mean nothing; `folder`: for whatever is written."""

    device: str
    small: bool
    folder: Path

    def model(self) -> Path:
        """A folder with random weights of SmolLM2's shape, and the built-in model's tokenizer."""
        from transformers import LlamaConfig

        from tests.models import random_model

        folder = self.folder / "model"
        if not folder.exists():
            tokenizer = tiny_tokenizer()
            random_model(LlamaConfig, tokenizer, **(SMALL if self.small else LARGE)).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return folder

    def curriculum(self, method: str, steps: int, *, model: dict[str, Any], **more: Any) -> Curriculum:
        """One stage, read at the default interval, with a cap that is never reached."""
        task = {"type": "python", "path": "tests.bench.gpu.setting:lists", "train": 400, "heldout": 8}
        train = {"max_steps": steps, "max_completion_length": 64, "save_steps": 1000} | more.pop("train", {})
        return Curriculum.model_validate(
            {
                "model": {"device": self.device, "model_name_or_path": str(self.model())} | model,
                "budget": {"kl": 1e6} | more.pop("budget", {}),
                "strategy": {"type": "fixed", "method": method},
                "train": train,
                "stages": [{"name": STAGE, "task": task}],
                "evaluation": {"batch_size": 8, "max_completion_length": 12} | more.pop("evaluation", {}),
            }
        )

    def seconds(self, begun: float) -> float:
        """Wall time since then, with all that the device was asked before."""
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    def begin_peak(self) -> None:
        """Forget the peak of the device's memory so far."""
        if self.device != "cpu":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> str:
        """The peak since `begin_peak`."""
        if self.device == "cpu":
            return "not measured on a CPU"
        return f"{torch.cuda.max_memory_allocated() / 1e6:,.0f} MB"


def tiny_tokenizer() -> Any:
    """That of the built-in model."""
    from perdure.agent.worlds.language.loading import load_policy
    from perdure.curriculum.worlds.language.model import CausalModel

    return load_policy(CausalModel(model_name_or_path="builtin:tiny", device="cpu"), seed=0).tokenizer


def lists(*, seed: int, train: int, heldout: int) -> Task:
    """Sort words; the reward is 1 for about half of all texts, so that random weights have something to learn."""
    from tests.bench.material import long_lists

    found = long_lists(seed=seed, train=train, heldout=heldout, words=10)
    return Task(found.name, found.train, found.heldout, reward=is_even)


def is_even(
    items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
) -> list[float | None]:
    """1 where the sum of the characters' codes is even."""
    return [float(sum(map(ord, text)) % 2 == 0) for text in completions]
