"""Words of other trainers: each message says which of perdure's keys and methods is meant."""

import pytest

from perdure.curriculum.file.other_words import NOTES, WORDS
from perdure.curriculum.file.schema_paths import type_at
from tests.curriculum.file.written import GOOD, Write, faults

# The line that takes the place of GOOD's budget, and what is said about the word in it.
WRITTEN = {
    "lr": ("train: {lr: 1.0e-4}", "train.lr: unknown key; write `train.learning_rate`"),
    "lr of a method": ("train: {rl: {lr: 1.0}}", "train.rl.lr: unknown key; write `train.rl.learning_rate`"),
    "lr outside": ("lr: 1.0e-4", "lr: unknown key; write `train.learning_rate`"),
    "epochs": ("train: {epochs: 3}", "train.epochs: unknown key; write `train.num_train_epochs`"),
    "batch_size": (
        "train: {batch_size: 4}",
        "train.batch_size: unknown key; write `train.per_device_train_batch_size`",
    ),
    "grad_accum": (
        "train: {grad_accum: 4}",
        "train.grad_accum: unknown key; write `train.gradient_accumulation_steps`",
    ),
    "kl_coef": ("train: {kl_coef: 0.1}", "train.kl_coef: unknown key; write `train.beta`"),
    "group_size": ("train: {group_size: 8}", "train.group_size: unknown key; write `train.num_generations`"),
    "max_new_tokens": (
        "evaluation: {max_new_tokens: 8}",
        "evaluation.max_new_tokens: unknown key; write `evaluation.max_completion_length`",
    ),
    "cutoff_len": ("train: {cutoff_len: 512}", "train.cutoff_len: unknown key; write `train.trl.max_length`"),
    "lora_r": (
        "train: {lora_r: 8}",
        "train.lora_r: unknown key; an adapter is `model.lora: {r: 16, lora_alpha: 32}`, for every method; the method "
        "`lora` has `train.low_rank.r`",
    ),
    "load_in_4bit": (
        "train: {load_in_4bit: true}",
        "train.load_in_4bit: unknown key; quantized weights are `model.quantization: 4bit` or `8bit`, with "
        "`model.lora`",
    ),
    "base_model": ("base_model: x", "base_model: unknown key; write `model.model_name_or_path`"),
    "datasets": (
        "datasets: [x]",
        "datasets: unknown key; data stands in a stage: `stages: [{name: mine, task: {type: dataset, path: FILE}}]`",
    ),
    "target_kl": ("budget: {kl: 1, target_kl: 2}", "budget.target_kl: unknown key; write `budget.kl`"),
    "algorithm": ("algorithm: grpo", "algorithm: unknown key; write `strategy.method`"),
    "tasks": ("tasks: [x]", "tasks: unknown key; write `stages`"),
    "output_dir": (
        "output_dir: x",
        "output_dir: unknown key; the run folder is chosen on the command line, by `--output-dir`",
    ),
    "seed": (
        "train: {seed: 1}",
        "train.seed: unknown key; `seed` stands at the top of the file, outside every section",
    ),
    "no budget": ("budget:", "budget: must be a map of keys; got null; for example `budget: {kl: 1.0}`"),
    "no cap": ("budget: {unit: token}", "budget.kl: required key is missing; for example `kl: 1.0`"),
}


@pytest.mark.parametrize("word", WRITTEN)
def test_a_word_of_another_trainer_names_perdures_key(write: Write, word: str) -> None:
    line, message = WRITTEN[word]
    budget = "" if line.startswith("budget") else "budget: {kl: 0.5}\n"
    (fault,) = faults(write(GOOD.replace("budget: {kl: 0.5}\n", f"{budget}{line}\n")))
    assert fault.partition(": ")[2] == message


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("ppo", "rl"), ("DPO", "rl"), ("rlhf", "rl"), ("supervised", "sft"), ("gkd", "sdft"), ("qlora", "sft")],
)
def test_a_method_of_another_trainer_names_the_nearest(write: Write, word: str, nearest: str) -> None:
    (fault,) = faults(write(GOOD.replace("method: rl", f"method: {word}")))
    assert f"there is no method {word!r}; the nearest is `{nearest}`: " in fault


def test_an_override_teaches_too(write: Write) -> None:
    assert faults(write(GOOD), "train.lr=1") == ["--set train.lr: unknown path; write `train.learning_rate`"]


def test_every_word_has_one_meaning_and_every_meaning_a_key() -> None:
    words = [word for some in WORDS.values() for word in some]
    assert len(words) == len(set(words)) and not set(words) & set(NOTES)
    known = {"stages": [{"task": {"type": "dataset"}}]}
    for key in WORDS:
        path = ("stages", 0, *key) if key[0] == "task" else key
        assert type_at(path, known) is not None, key
