"""What is trained in the benchmarks: curricula, a task with long answers, and a model of SmolLM2-135M's shape."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

from perdure.agent.seeds import derive
from perdure.agent.worlds.language.trl.config import merge
from perdure.agent.worlds.language.trl.rows import demonstration_rows
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.language.skills.phrases import WORDS

STAGE = "stage"
TINY = "builtin:tiny"
TOKENS = 64  # of a sequence of the large model, about


def tiny_curriculum(method: str, *, steps: int, earlier: Sequence[str] = ()) -> Curriculum:
    """A stage of the built-in model; the monitor's settings are the defaults, and its cap is never reached.

    `earlier` names the skills of stages of one step each that come before it.
    """
    train = {"max_steps": steps, "num_generations": 8, "max_completion_length": 12}
    before = [{"name": skill, "task": _skill(skill), "train": {"max_steps": 1}} for skill in earlier]
    return _curriculum({"model_name_or_path": TINY}, method, _skill("even_number"), train, before=before)


def _skill(name: str) -> dict[str, Any]:
    return {"type": "python", "path": f"perdure.curriculum.worlds.language.skills:{name}", "train": 1000, "heldout": 16}


def large_curriculum(
    model: Path, threads: int | Literal["auto"], train: dict[str, Any], budget: dict[str, Any]
) -> Curriculum:
    """One SFT stage of a model of 135 million parameters; half of each sequence is the answer."""
    task: dict[str, Any] = {"type": "python", "path": "tests.bench.material:long_lists", "train": 400, "heldout": 8}
    task["args"] = {"words": round(TOKENS / 2 / _tokens_per_word(model))}
    return _curriculum({"model_name_or_path": str(model), "threads": threads}, "sft", task, train, budget)


def _tokens_per_word(model: Path) -> float:
    from transformers import AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(model)([f" {word}" for word in WORDS], add_special_tokens=False)
    return sum(map(len, encoded["input_ids"])) / len(WORDS)


def _curriculum(
    model: dict[str, Any],
    method: str,
    task: dict[str, Any],
    train: dict[str, Any],
    budget: dict[str, Any] | None = None,
    before: Sequence[dict[str, Any]] = (),
) -> Curriculum:
    return Curriculum.model_validate(
        {
            "model": {"device": "cpu", "dtype": "float32"} | model,
            "budget": {"kl": 1e6} | (budget or {}),
            "strategy": {"type": "fixed", "method": method},
            "train": train,
            "stages": [*before, {"name": STAGE, "task": task}],
            "evaluation": {"batch_size": 8, "max_completion_length": 12},
        }
    )


def bare_arguments(curriculum: Curriculum, method: str, folder: Path) -> dict[str, Any]:
    """The same update as keyword arguments of TRL's own config; what perdure adds to TRL is not among them."""
    import trl

    config_class = trl.SFTConfig if method == "sft" else trl.GRPOConfig
    parsed = curriculum.method(method)
    settings = settings_for(parsed, curriculum.train, curriculum.stages[0].train).objective
    chosen = merge(parsed, settings, known={field.name for field in dataclasses.fields(config_class)})
    return chosen | {
        "output_dir": str(folder),
        "seed": derive(curriculum.seed, "update", STAGE),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
    }


def bare_rows(task: Task, method: str) -> list[dict[str, Any]]:
    """The task's training items as TRL takes them."""
    if method == "sft":
        return demonstration_rows(task.train)
    return [{"prompt": item.prompt, "right": list(item.columns["right"])} for item in task.train]


def long_lists(*, seed: int, train: int, heldout: int, words: int) -> Task:
    """Say a list of words in the order of the alphabet."""
    rng = Random(seed)

    def item() -> Item:
        chosen = rng.sample(WORDS, words)
        return Item(f"Sort: {' '.join(chosen)}.\n", demonstration=" ".join(sorted(chosen)))

    items = [item() for _ in range(train + heldout)]
    return Task("long_lists", tuple(items[:train]), tuple(items[train:]))


def save_large_model(folder: Path) -> None:
    """Random weights of SmolLM2-135M's shape, with the built-in model's tokenizer."""
    from transformers import LlamaConfig

    from perdure.agent.worlds.language.loading import load_policy
    from perdure.curriculum.worlds.language.model import CausalModel
    from tests.models import random_model

    tokenizer = load_policy(CausalModel(model_name_or_path=TINY), seed=0).tokenizer
    model = random_model(
        LlamaConfig,
        tokenizer,
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
