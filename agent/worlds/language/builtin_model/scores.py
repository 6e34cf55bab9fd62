"""Scores of the built-in model on prompts that its pretraining did not have; writes nothing itself."""

import math
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.skills.skills import (
    SKILLS,
    TaskFactory,
    even_number,
    examples,
    german_number,
    right_answer,
    shift_letters,
    word_starting,
)

OPEN_ENDED = ("say_number", "say_word")
NEW_TASKS: dict[str, TaskFactory] = {
    "even_number": even_number,
    "word_starting": word_starting,
    "german_number": german_number,
    "shift_letters": shift_letters,
}


def score(folder: Path, *, items: int = 100, **training: int) -> dict[str, Any]:
    """Scores of the model in `folder` on `items` held-out prompts a skill, and how it was made."""
    model, tokenizer = load(folder)
    new_tasks = {name: make(seed=0, train=0, heldout=items).heldout for name, make in NEW_TASKS.items()}
    return {
        "skills": {name: rates(model, tokenizer, held_out_items(name, items)) for name in SKILLS},
        "new_tasks": {name: rates(model, tokenizer, asked) for name, asked in new_tasks.items()},
        "spread": {name: spread(model, tokenizer, held_out_items(name, 20)) for name in OPEN_ENDED},
        "training": training,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sha256": weights_hash(folder),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def load(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer, as any user would load them."""
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights' file."""
    return sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def held_out_items(skill: str, count: int) -> list[Item]:
    """The skill's evaluation set: always the same items, none of them in the pretraining stream."""
    return examples(SKILLS[skill], Random(f"held-out {skill}"), count, held_out=True)


def rates(model: Any, tokenizer: Any, items: Sequence[Item]) -> dict[str, float]:
    """Shares of right answers, greedy and at temperature 1, each with its standard error."""
    result: dict[str, float] = {"n": len(items)}
    for name, sample in (("greedy", False), ("sampled", True)):
        marks = right_answer(items, complete(model, tokenizer, items, sample=sample))
        share = sum(mark or 0.0 for mark in marks) / len(items)
        result[name] = round(share, 4)
        result[f"{name}_stderr"] = round(math.sqrt(share * (1 - share) / len(items)), 4)
    return result


@torch.no_grad()
def complete(model: Any, tokenizer: Any, items: Sequence[Item], *, sample: bool = False, tokens: int = 12) -> list[str]:
    """The model's answers, greedy or sampled with a fixed seed at temperature 1 from the whole vocabulary."""
    texts = [_chat(tokenizer, item.prompt) for item in items]
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", return_token_type_ids=False)
    torch.manual_seed(0)
    how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if sample else {"do_sample": False}
    ids = model.generate(**inputs, max_new_tokens=tokens, **how)
    answers: list[str] = tokenizer.batch_decode(ids[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    return answers


def spread(model: Any, tokenizer: Any, items: Sequence[Item]) -> dict[str, float]:
    """The exact probability of all right answers together, and their entropy as a share of the uniform one's."""
    mass = share = 0.0
    for item in items:
        right = item.columns["right"]
        probabilities = torch.tensor(
            [_log_probability(model, tokenizer, item.prompt, answer) for answer in right]
        ).exp()
        total = probabilities.sum()
        among_right = probabilities / total
        mass += float(total) / len(items)
        share += float(-(among_right * among_right.log()).sum()) / math.log(len(right)) / len(items)
    return {"n": len(items), "right_mass": round(mass, 4), "entropy_share": round(share, 4)}


@torch.no_grad()
def _log_probability(model: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    before = tokenizer(_chat(tokenizer, prompt)).input_ids
    after = tokenizer(answer + tokenizer.eos_token).input_ids
    logits = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
    chosen = logits.log_softmax(-1).gather(-1, torch.tensor(after)[:, None])
    return float(chosen.sum())


def _chat(tokenizer: Any, prompt: Any) -> str:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text
