"""A stream of stages by TRL, with lm-eval after each: a good script of somebody who has no perdure, none of which is
imported here.

As a script, `python -m tests.bench.peers.trl_stream JOB.json`, it prints one JSON object: the scores after each stage.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.bench.bare import is_right, train

BATCH = 64


def main() -> None:
    """Run the stream that a file describes."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    scorecards = [_scorecard(job, model, tokenizer, 0)]
    for number, stage in enumerate(job["stages"], 1):
        train(job["method"], model, tokenizer, stage["rows"], job["arguments"])
        scorecards.append(_scorecard(job, model, tokenizer, number))
    print(json.dumps(scorecards))


def _scorecard(job: dict[str, Any], model: Any, tokenizer: Any, number: int) -> dict[str, float]:
    """Every task and benchmark; a policy is saved after each stage, as perdure saves one."""
    model.eval()
    scores = {one["name"]: _accuracy(model, tokenizer, one["heldout"], job["tokens"]) for one in job["stages"]}
    folder = Path(job["folder"]) / str(number)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    by_command = job["scorecard"] == "command"
    return scores | (_by_command(job, folder) if by_command else _in_memory(job, model, tokenizer))


def _accuracy(model: Any, tokenizer: Any, items: Sequence[dict[str, Any]], tokens: int) -> float:
    """The share of greedy answers that are right."""
    config = GenerationConfig(max_new_tokens=tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    tokenizer.padding_side = "left"
    right: list[float] = []
    for begin in range(0, len(items), BATCH):
        batch = items[begin : begin + BATCH]
        texts = [
            tokenizer.apply_chat_template(one["prompt"], add_generation_prompt=True, tokenize=False) for one in batch
        ]
        asked = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        answers = model.generate(**asked, generation_config=config)[:, asked["input_ids"].shape[1] :]
        said = tokenizer.batch_decode(answers, skip_special_tokens=True)
        right += is_right(said, [one["right"] for one in batch])
    return sum(right) / len(right)


def _in_memory(job: dict[str, Any], model: Any, tokenizer: Any) -> dict[str, float]:
    """By `simple_evaluate`, with the model that is in memory and an index of one folder of tasks."""
    found = simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH),
        tasks=job["tasks"],
        task_manager=TaskManager(include_path=job["include_path"], include_defaults=False),
        apply_chat_template=True,
    )
    return _accuracies(found["results"])


def _by_command(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """By lm-eval's command line, from the folder of the policy."""
    subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder},dtype=float32"),
            *("--tasks", ",".join(job["tasks"]), "--include_path", job["include_path"], "--apply_chat_template"),
            *("--device", "cpu", "--batch_size", str(BATCH), "--output_path", str(folder / "scores")),
        ],
        check=True,
        capture_output=True,
    )
    (file,) = (folder / "scores").rglob("results_*.json")
    return _accuracies(json.loads(file.read_text())["results"])


def _accuracies(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The first metric of each task."""
    return {
        name: next(float(value) for key, value in found.items() if key.endswith(",none") and "stderr" not in key)
        for name, found in results.items()
    }


if __name__ == "__main__":
    main()
