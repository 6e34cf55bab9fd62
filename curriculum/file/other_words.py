"""Keys as other trainers call them, and perdure's own key for each.

The words are those of TRL, transformers, axolotl, LLaMA-Factory, verl and Unsloth.
"""

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.world_faults import is_foreign
from perdure.curriculum.messages import Path, show_path

WORDS: dict[Path, tuple[str, ...]] = {
    ("model", "model_name_or_path"): ("model_name", "base_model", "model_id", "model_path", "name_or_path"),
    ("model", "dtype"): ("torch_dtype", "precision"),
    ("model", "autocast"): ("mixed_precision", "amp", "compute_dtype", "bf16", "fp16"),
    ("budget", "kl"): ("max_kl", "target_kl", "kl_budget", "kl_limit", "kl_target"),
    ("strategy", "method"): ("algorithm", "algo", "rl_algorithm", "adv_estimator", "trainer", "method"),
    ("train", "learning_rate"): ("lr", "peak_lr"),
    ("train", "num_train_epochs"): ("epochs", "num_epochs", "n_epochs", "total_epochs"),
    ("train", "per_device_train_batch_size"): ("batch_size", "micro_batch_size", "train_batch_size"),
    ("train", "gradient_accumulation_steps"): ("grad_accum", "grad_accum_steps", "gradient_accumulation"),
    ("train", "max_steps"): ("steps", "num_steps", "total_steps", "training_steps", "num_train_steps"),
    ("train", "lr_scheduler_type"): ("scheduler", "lr_scheduler"),
    ("train", "warmup_steps"): ("warmup", "num_warmup_steps", "warmup_ratio"),
    ("train", "max_grad_norm"): ("grad_clip", "gradient_clipping", "clip_grad_norm"),
    ("train", "beta"): ("kl_coef", "kl_coeff", "init_kl_coef", "kl_loss_coef", "kl_beta"),
    ("train", "num_generations"): ("group_size", "num_samples", "n_samples", "num_rollouts"),
    ("train", "max_completion_length"): ("max_new_tokens", "max_tokens", "response_length", "max_response_length"),
    ("train", "trl", "max_length"): ("cutoff_len", "max_seq_length", "max_seq_len", "sequence_len"),
    ("task", "path"): ("dataset", "datasets", "dataset_name", "dataset_path", "data_path", "train_file", "data"),
    ("task", "split"): ("dataset_split", "train_split"),
    ("task", "columns", "prompt"): ("prompt_column", "prompt_field", "field_instruction", "input_column"),
    ("task", "columns", "completion"): ("completion_column", "response_column", "field_output", "output_column"),
    ("task", "columns", "answer"): ("answer_column", "label_column", "target_column"),
    ("task", "reward", "path"): ("reward_fn", "reward_func", "reward_funcs", "reward_function", "reward_functions"),
    ("task", "train"): ("max_samples", "num_examples", "train_size"),
    ("task", "heldout"): ("val_set_size", "test_size", "eval_size", "eval_split_size", "heldout_split", "eval_split"),
    ("stages",): ("tasks", "stream"),
    ("benchmarks",): ("evals", "eval_tasks", "eval_datasets", "retain"),
}
"""By the path of perdure's key, others' words for it; `task` is the task of a stage."""

_ADAPTER = (
    "an adapter is `model.lora: {r: 16, lora_alpha: 32}`, for every method; the method `lora` has `train.low_rank.r`"
)
_DATA = "data stands in a stage: `stages: [{name: mine, task: {type: dataset, path: FILE}}]`"
_QUANTIZED = "quantized weights are `model.quantization: 4bit` or `8bit`, with `model.lora`"
_SCORED = "every task and benchmark is scored after each stage, and no setting is needed"

NOTES: dict[str, str] = {
    **dict.fromkeys(("lora_r", "lora_rank", "lora_alpha", "lora_dropout", "lora_target_modules"), _ADAPTER),
    **dict.fromkeys(("lora_target", "use_lora", "use_peft", "peft_config", "lora_config", "adapter"), _ADAPTER),
    **dict.fromkeys(("load_in_4bit", "load_in_8bit", "quantization_bit", "quantization"), _QUANTIZED),
    **dict.fromkeys(("eval_steps", "eval_strategy", "evaluation_strategy", "eval_interval"), _SCORED),
    "output_dir": "the run folder is chosen on the command line, by `--output-dir`",
    "ref_model": "the reference is always the base itself",
    "finetuning_type": f"all weights are trained, unless {_ADAPTER}",
}
"""Words for which perdure has no single key, and what to write instead."""


def own_word(path: Path, document: Document) -> str:
    """What to write in place of an unknown key that other trainers have; empty for a key that they lack, too."""
    word = str(path[-1])
    target = next((key for key, words in WORDS.items() if word in words), None)
    if target == ("task", "path") and "task" not in path:
        return f"; {_DATA}"
    for meant in () if target is None else _places(target, path[:-1]):
        if schema_paths.type_at(meant, document.data) is not None and not _is_foreign(meant, document):
            return f"; write `{show_path(meant)}`"
    if word not in NOTES or ("lora" in NOTES[word] and not _has_lora(document)):
        return ""
    return f"; {NOTES[word]}"


def _places(target: Path, parent: Path) -> tuple[Path, ...]:
    """The paths that a key may be meant for, nearest to where it is written first."""
    section, *rest = target
    stage = parent[:2] if parent[:1] == ("stages",) and len(parent) > 1 else ()
    if section in parent:
        around = parent[: parent.index(section) + 1]
        return ((*parent, target[-1]), (*around, *rest), target)
    if section == "task":
        return ((*(stage or ("stages", 0)), "task", *rest),)
    if target == ("strategy", "method") and stage:
        return ((*stage, "method"),)
    return ((*parent, target[-1]), (*stage, *target), target) if parent else (target,)


def _is_foreign(path: Path, document: Document) -> bool:
    return "train" in path and is_foreign(str(path[path.index("train") + 1]), document)


def _has_lora(document: Document) -> bool:
    return schema_paths.type_at(("model", "lora"), document.data) is not None
