"""The other side of every comparison: TRL alone, as its documentation has it. Nothing of perdure is imported here.

As a script, `python bare.py JOB.json`, it trains in a process of its own and prints one JSON object.
"""

import hashlib
import json
import math
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

Rows = list[dict[str, Any]]


def is_right(completions: Sequence[Any], right: Sequence[Sequence[str]], **_: Any) -> list[float]:
    """1 for a completion, text or messages, that is one of the right answers."""
    texts = [each if isinstance(each, str) else each[0]["content"] for each in completions]
    return [float(text.strip() in answers) for text, answers in zip(texts, right, strict=True)]


def train(method: str, model: Any, tokenizer: Any, rows: Rows, arguments: dict[str, Any]) -> float:
    """Train in place; wall time in seconds, from rows to trained weights."""
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    began = time.perf_counter()
    data = Dataset.from_list(rows)
    if method == "sft":
        config = SFTConfig(**arguments)
        trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    else:
        config = GRPOConfig(**arguments)
        trainer = GRPOTrainer(
            model=model, reward_funcs=is_right, args=config, train_dataset=data, processing_class=tokenizer
        )
    trainer.train()
    return time.perf_counter() - began


def digest(model: Any) -> str:
    """SHA-256 of all weights."""
    total = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        total.update(name.encode())
        total.update(parameter.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().data)
    return total.hexdigest()


def count_parameters(folder: Path) -> int:
    """How many weights a saved model has, tied ones once."""
    sizes = []
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            sizes += [math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118
    return sum(sizes)


def peak_megabytes() -> float:
    """The most memory that this process had resident, in units of 10⁶ bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Do the job that a file describes."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    seconds = train(job["method"], model, tokenizer, job["rows"], job["arguments"])
    print(json.dumps({"seconds": seconds, "peak": peak_megabytes(), "sha256": digest(model)}))


if __name__ == "__main__":
    main()
