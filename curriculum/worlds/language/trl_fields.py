"""Checks what a curriculum says under `trl:` against the installed TRL, without importing TRL."""

from collections.abc import Iterator, Sequence
from typing import Any

from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.messages import Path, did_you_mean, one_of, show_path, show_value
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import Train
from perdure.curriculum.worlds.language.groups import group_faults
from perdure.curriculum.worlds.language.trl_source import fields_of, schedulers
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.registry import section_names, spec_of

RESERVED_FIELDS = {
    "output_dir": "the run folder is chosen with `--output-dir`",
    "seed": "it follows from `seed` at the top of the curriculum",
    "data_seed": "it follows from `seed` at the top of the curriculum",
    "full_determinism": "a run is repeatable as it is; the seed is `seed` at the top of the curriculum",
    "resume_from_checkpoint": "use `perdure resume`",
    "ignore_data_skip": "`perdure resume` goes on exactly where the run was stopped",
    "save_strategy": "checkpoints are set with `train.save_steps`",
    "save_total_limit": "checkpoints are set with `train.save_steps`",
    "save_only_model": "`perdure resume` needs the whole checkpoint",
    "load_best_model_at_end": "the policy after a stage is the one that the budget allows",
    "eval_strategy": "the scorecard after each stage measures; see `evaluation`",
    "logging_nan_inf_filter": "the monitor must see a loss that is not a number",
    "disable_tqdm": "perdure shows the progress",
    "bf16": "autocast is set with `model.autocast`, for readings and scores too",
    "fp16": "autocast is set with `model.autocast`, for readings and scores too",
    "use_cpu": "the device is chosen with `model.device`",
    "model_init_kwargs": "the model is described under `model`",
    "trust_remote_code": "it is set with `model.trust_remote_code`",
}
"""Fields that perdure sets itself, and what to use instead."""

REFUSED_FIELDS = {
    "chat_template_path": "the tokenizer belongs to the model, which stays the same for the whole run",
    "eos_token": "the tokenizer belongs to the model, which stays the same for the whole run",
    "pad_token": "the tokenizer belongs to the model, which stays the same for the whole run",
    "remove_unused_columns": "rewards need every column",
    "chat_template_kwargs": "prompts would be trained otherwise than asked; write it into the tokenizer's template",
    "sync_ref_model": "the reference is always the original base",
    "push_to_hub": "publish the finished run instead",
    "deepspeed": "each process would hold a part of the weights; perdure measures whole ones (docs/several-gpus.md)",
    "fsdp": "each process would hold a part of the weights; perdure measures whole ones (docs/several-gpus.md)",
    "enable_jit_checkpoint": "checkpoints are set with `train.save_steps`",
    "eval_on_start": "the scorecard measures",
    "do_eval": "the scorecard measures",
}
"""Fields that would break what perdure promises, and why."""

SCALE_REWARDS = ("group", "batch", "none")


KEY = "trl"
"""The key of `train` and its sections under which TRL's own fields stand."""


def config_of(method: Method) -> str:
    """TRL's config class for the method."""
    return str(method.objective.config)  # type: ignore[attr-defined]


def faults(document: Document, curriculum: Curriculum | None) -> list[Fault]:
    """Every fault under `trl:`, in the settings whose values TRL or transformers list, and in the sizes of groups.

    A field under a method's own section must exist in that method's config; one that methods share, in the config of
    every method that a stage may come to use (of any method, while `curriculum` is `None`: the rest has faults).
    """
    found: list[Fault] = []
    for path, methods, shared in _sections(document, curriculum):
        given = document.get((*path, "trl"))
        for key, value in given.items() if isinstance(given, dict) else ():
            here = (*path, "trl", key)
            message = _key_fault(key, path, methods, every=shared and curriculum is not None)
            if message:
                found.append(Fault(document.place(here, at_key=True), here, message))
            elif message := _value_fault(key, value, methods):
                found.append(Fault(document.place(here), here, message))
        found += _choice_faults(document, path, methods)
    return found if curriculum is None else [*found, *group_faults(document, curriculum)]


def _sections(document: Document, curriculum: Curriculum | None) -> Iterator[tuple[Path, Sequence[Method], bool]]:
    """Each section of train settings: its path, the methods that read it, and whether they share it."""
    spec = spec_of("language")
    everyone = tuple(spec.method(name) for name in spec.names)
    stages = document.get(("stages",))
    used = None
    if curriculum is not None:
        used = [tuple(map(spec.method, candidate_methods(curriculum, stage))) for stage in curriculum.stages]
    known = {one.name: one for each in used for one in each} if used else {}
    shared: list[tuple[Path, Sequence[Method]]] = [(("train",), tuple(known.values()))]
    for index in range(len(stages) if isinstance(stages, list) else 0):
        shared.append((("stages", index, "train"), used[index] if used else everyone))
    for path, methods in shared:
        yield path, methods or everyone, True
        for method in everyone:
            yield (*path, method.name), (method,), False


def _key_fault(key: str, path: Path, methods: Sequence[Method], *, every: bool) -> str | None:
    if key in RESERVED_FIELDS:
        return f"perdure sets this field itself; {RESERVED_FIELDS[key]}"
    if key in REFUSED_FIELDS:
        return f"this field cannot be set: {REFUSED_FIELDS[key]}"
    parts = (part for method in methods for part in (method.objective, *method.modifiers))
    typed = next((part.name for part in parts if key in part.settings.model_fields), None)
    if typed is not None:
        home = path if key in Train.model_fields or path[-1] in section_names() else (*path, typed)
        return f"this setting has its own key; write it as `{show_path((*home, key))}`"
    having = [one for one in methods if key in fields_of(config_of(one))]
    lacking = dict.fromkeys(config_of(one) for one in methods if one not in having)
    if not lacking or (not every and having):
        return None
    configs = " and ".join(lacking)
    if having and len(methods) > 1:
        where = " or ".join(f"`{show_path((*path, name, KEY))}`" for name in _objectives(having))
        return f"{configs} of the installed TRL has no such field; write it under {where}"
    known = {name for method in methods for name in fields_of(config_of(method))} - set(
        RESERVED_FIELDS | REFUSED_FIELDS
    )
    return f"{configs} of the installed TRL has no such field{did_you_mean(key, sorted(known))}"


def _objectives(methods: Sequence[Method]) -> list[str]:
    """Their objectives, without those that also read the section of another one."""
    names = dict.fromkeys(one.objective.name for one in methods)
    parents = {one.objective.name: one.objective.parent for one in methods}
    return [name for name in names if parents[name] not in names]


MOST, MOST_PROCESSES = 10**9, 64
"""The largest number of TRL's fields, as of perdure's own (`budget/bounds.py`), and of processes that one starts."""


RANGES = {
    **dict.fromkeys(("adam_beta1", "adam_beta2"), (0, 0.9999999)),
    **dict.fromkeys(("top_p", "min_p", "label_smoothing_factor"), (0, 1)),
    "adam_epsilon": (0, 1),
    "repetition_penalty": (1e-3, 1000),
    "logging_steps": (1e-9, MOST),
}
"""The ranges of fields that torch and transformers check only when the training begins."""


def _most(key: str) -> int:
    return MOST_PROCESSES if key.endswith(("num_workers", "num_proc")) else MOST


PLAIN_TYPES = {"bool": "true or false", "int": "a whole number", "float": "a number", "None": "null"}


def _value_fault(key: str, value: Any, methods: Sequence[Method]) -> str | None:
    """Refuses values that are not among a field's choices or not of its plain type; TRL checks the rest."""
    declared = [fields_of(config_of(method))[key] for method in methods if key in fields_of(config_of(method))]
    choices = declared[0].choices
    if choices and isinstance(value, str) and value not in choices:
        return f"must be {one_of(choices)}; got {show_value(value)}{did_you_mean(value, choices)}"
    kinds = [kind.strip() for kind in declared[0].annotation.split("|")]
    if not set(kinds) <= set(PLAIN_TYPES) or (value is None and "None" in kinds):
        return None
    low, high = RANGES.get(key, (-MOST, _most(key)))
    if isinstance(value, int | float) and not isinstance(value, bool) and not low <= value <= high:
        return f"must be from {low:.10g} to {high:.10g}; got {show_value(value)}"
    right = isinstance(value, bool) if kinds[0] == "bool" else isinstance(value, int | float) and value is not True
    if (right and value is not False) or (value is False and "bool" in kinds):
        return None
    return f"must be {' or '.join(PLAIN_TYPES[kind] for kind in kinds)}; got {show_value(value)}"


def _choice_faults(document: Document, path: Path, methods: Sequence[Method]) -> Iterator[Fault]:
    """Names of schedulers, losses and scalings that the installed libraries do not know."""
    for key in ("lr_scheduler_type", "loss_type", "scale_rewards"):
        here = (*path, key)
        value = document.get(here)
        choices = _names(key, methods[0]) if isinstance(value, str) else ()
        if choices and value not in choices:
            message = f"must be {one_of(choices)}; got {show_value(value)}{did_you_mean(value, choices)}"
            yield Fault(document.place(here), here, message)


def _names(key: str, method: Method) -> tuple[str, ...]:
    if key == "lr_scheduler_type":
        return schedulers()
    return SCALE_REWARDS if key == "scale_rewards" else fields_of(config_of(method))["loss_type"].choices


def is_field(name: str) -> bool:
    """True if any method's config has a field of this name that a curriculum may set under `trl:`."""
    return name not in RESERVED_FIELDS | REFUSED_FIELDS and any(
        name in fields_of(config) for config in ("SFTConfig", "GRPOConfig")
    )


REFERENCE = """\
## Fields of TRL

`trl` takes any other field of the installed TRL's config by its own name: of `SFTConfig` under `sft` and what
varies it, of `GRPOConfig` under the others. A field under the `trl` of `train` itself must exist for every method that
a stage may come to use. Fields that have a key of their own are refused under `trl`, and so are these, which perdure
sets itself:

| field | instead |
|---|---|
"""


def reference() -> str:
    """The section of `docs/curriculum.md` on these fields."""
    fields: dict[str, list[str]] = {}
    for field, reason in (RESERVED_FIELDS | REFUSED_FIELDS).items():
        fields.setdefault(reason, []).append(f"`{field}`")
    return REFERENCE + "\n".join(f"| {', '.join(names)} | {reason} |" for reason, names in fields.items())
