"""Weights of a name, held against what its files say: transformers warns where this refuses."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import GenerationConfig
from transformers.utils import logging as transformers_logging

from perdure.agent.worlds.hub import hub_answers
from perdure.budget.errors import ModelError
from perdure.curriculum.messages import one_line
from perdure.curriculum.worlds.lora import LoraConfig

WHOLE = ("I8", "I1", "I3", "I6", "U8", "U1", "U3", "U6", "BO")
"""How the names of whole-number types begin in safetensors."""

SHOWN = 3
"""Names that a message lists; of more it gives the number."""


@dataclass(frozen=True)
class Checkpoint:
    """A model that a curriculum names.

    Attributes:
        name: as the curriculum says it.
        folder: where its files are, or its id on the hub.
        place: the field that names it.
        kind: what it should be (`causal language model`).
        hint: what to give without a network.
    """

    name: str
    folder: str
    revision: str | None
    place: str
    kind: str
    hint: str
    trust_remote_code: bool = False

    @property
    def files(self) -> dict[str, Any]:
        """Arguments of `from_pretrained` that say which files."""
        return {
            "revision": self.revision,
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": not hub_answers(self.folder, self.revision),
        }


@contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of transformers inside; as before after."""
    before = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            transformers_logging.enable_progress_bar()


def load_checkpoint(auto: Any, one: Checkpoint, dtype: torch.dtype, **more: Any) -> Any:
    """The model of an auto class and a folder that is no adapter, on the CPU unless `more` arguments say otherwise.

    Raises:
        ModelError: it cannot be read, lacks tensors, has others, of other shapes or that are not finite, or its
            generation_config cannot be read.
    """
    folder = Path(one.folder)
    try:
        if (folder / "generation_config.json").is_file():
            GenerationConfig.from_pretrained(folder)  # one that cannot be read is left out below without a word
        with without_bars():
            model, report = auto.from_pretrained(
                one.folder,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused here, with their names
                **one.files,
                **more,
            )
    except ModelError:
        raise
    except Exception as error:  # whatever transformers raises, it is about the files
        raise unreadable(one, error, "model") from error
    _refuse_other_tensors(one, report)
    _refuse_whole_numbers(one, model)
    refuse_not_finite(one, model)
    return model


def unreadable(one: Checkpoint, error: Exception, part: str) -> ModelError:
    """Distinguish a missing folder, a folder without the part, damaged files, and a hub out of reach."""
    where = f"{one.place}: cannot load the {part} of {one.name!r}"
    reason = one_line(error)
    if type(error).__name__ not in ("OSError", "ValueError", "RuntimeError", "ImportError"):
        reason = f"{type(error).__name__}: {reason}"
    folder = Path(one.folder)
    if folder.is_dir() and part == "tokenizer" and not list(folder.glob("*token*")):
        return ModelError(f"{where}: that folder has no tokenizer (tokenizer.json); save the model's tokenizer into it")
    if type(error).__name__ == "SafetensorError":
        reason += ". A file of weights is damaged or only a pointer to one (Git LFS); get the files again"
    if folder.is_dir():
        return ModelError(f"{where} from that folder: {reason}")
    if one.name.startswith(("/", "./", "../", "~")):
        return ModelError(f"{where}: there is no such folder")
    return ModelError(
        f"{where}: no folder of that name, and the hub could not give it ({reason}). Without a network, give {one.hint}"
    )


def _refuse_other_tensors(one: Checkpoint, report: Mapping[str, Any]) -> None:
    """Refuse weights that are not exactly the model's; what is tied to another tensor may be left out of the files."""
    shapes = [f"{key} {tuple(here)} for {tuple(wanted)}" for key, here, wanted in sorted(report["mismatched_keys"])]
    found = [
        ("lack tensors, which would be drawn at random", sorted(report["missing_keys"])),
        ("have tensors that the model has not", sorted(report["unexpected_keys"])),
        ("have tensors of other shapes", shapes),
    ]
    faults = "; ".join(f"they {what}: {listed(names)}" for what, names in found if names)
    if faults:
        raise ModelError(
            f"{one.place}: the weights of {one.name!r} are not those of the model in its config.json: {faults}. Save "
            f"model and weights again as one {one.kind}, or give the config.json that belongs to them"
        )


def _refuse_whole_numbers(one: Checkpoint, model: Any) -> None:
    """Refuse a file whose header calls weights whole numbers, which would be converted."""
    floats = {key for key, tensor in model.named_parameters() if tensor.is_floating_point()}
    for path in sorted(Path(one.folder).glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            wrong = [key for key in floats & set(file.keys()) if file.get_slice(key).get_dtype()[:2] in WHOLE]
        if wrong:
            raise ModelError(
                f"{one.place}: {path} holds whole numbers where the model has real ones: {listed(sorted(wrong))}. Save "
                "the weights again as floating-point numbers"
            )


def refuse_not_finite(one: Checkpoint, model: torch.nn.Module) -> None:
    """Refuse weights that are NaN or infinite."""
    broken = [key for key, tensor in model.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelError(
            f"{one.place}: weights of {one.name!r} are NaN or infinite in {model.dtype}: {listed(broken)}. "
            "Give a sound copy, or a `dtype` that holds them"
        )


def merged_adapter(base: Any, one: Checkpoint) -> Any:
    """The base with an adapter merged into its weights, named as the adapter, so that one put over it names that.

    Raises:
        ModelError: the adapter cannot be read or merged, lacks tensors, or does not belong to this base.
    """
    from peft import PeftConfig, get_peft_model

    where = {"revision": one.revision}
    try:
        peft = get_peft_model(base, PeftConfig.from_pretrained(one.folder, **where))
        report = peft.load_adapter(one.folder, peft.active_adapter, **where)
        lacking, foreign = sorted(report.missing_keys), sorted(report.unexpected_keys)
    except Exception as error:
        raise unreadable(one, error, "adapter") from error
    if lacking or foreign:
        faults = [f"it lacks {listed(lacking)}"] * bool(lacking) + [f"it has {listed(foreign)}"] * bool(foreign)
        raise ModelError(
            f"{one.place}: the adapter {one.folder!r} is not the one in its adapter_config.json, or not of this base: "
            f"{'; '.join(faults)}. Save the adapter again"
        )
    refuse_not_finite(one, peft)
    try:
        whole = peft.merge_and_unload()
    except Exception as error:
        raise ModelError(
            f"{one.place}: the adapter {one.folder!r} cannot be merged into its base ({one_line(error)}); perdure "
            "takes adapters that can, such as LoRA"
        ) from error
    whole.name_or_path = whole.config._name_or_path = one.folder
    return whole.requires_grad_(True)  # peft had frozen the base


def add_adapter(
    model: Any, config: LoraConfig, place: str, *, task_type: str | None = None, without: str | None = None
) -> Any:
    """The model with a fresh adapter over it, drawn from torch's generator; none on layers that match `without`.

    Raises:
        ModelError: it has no layers of those names.
    """
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    try:
        return get_peft_model(
            model, PeftLoraConfig(task_type=task_type, exclude_modules=without, **config.model_dump())
        )
    except ValueError as error:
        raise ModelError(f"{place}: {error}") from error


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_dtype(name: str, *, has_bfloat16: bool) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that has it, else float32."""
    return DTYPES[("bfloat16" if has_bfloat16 else "float32") if name == "auto" else name]


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
