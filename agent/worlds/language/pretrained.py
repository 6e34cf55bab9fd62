"""The weights and tokenizer of a name, held against what its files say: transformers warns where this refuses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from perdure.agent.worlds.language.hub import hub_answers, resolve_path
from perdure.budget.errors import ModelError
from perdure.curriculum.messages import one_line
from perdure.curriculum.worlds.language.model import CausalModel

WHOLE = ("I8", "I1", "I3", "I6", "U8", "U1", "U3", "U6", "BO")
"""How the names of whole-number types begin in safetensors."""

SHOWN = 3
"""Names that a message lists; of more it gives the number."""


def load_weights(config: CausalModel, dtype: torch.dtype) -> Any:
    """The causal model of a hub id or a folder that is no adapter, on the CPU.

    Raises:
        ModelError: it cannot be read, lacks tensors, has others, of other shapes or that are not finite, or its
            generation_config cannot be used.
    """
    name = config.model_name_or_path
    try:
        folder = Path(resolve_path(name))
        if (folder / "generation_config.json").is_file():
            GenerationConfig.from_pretrained(folder)  # one that cannot be read is left out below without a word
        model, report = AutoModelForCausalLM.from_pretrained(
            resolve_path(name),
            revision=config.revision,
            dtype=dtype,
            trust_remote_code=config.trust_remote_code,
            use_safetensors=True,
            local_files_only=not hub_answers(config),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused here, with their names
        )
    except ModelError:
        raise
    except Exception as error:  # whatever transformers raises, it is about the files
        raise unreadable(config, error, "model") from error
    _refuse_other_tensors(name, report)
    _refuse_whole_numbers(folder, model)
    refuse_not_finite(name, model)
    _refuse_ends(name, model)
    return model


def load_tokenizer(config: CausalModel) -> Any:
    """The tokenizer of a hub id or folder; without a padding token it pads with its end token.

    Raises:
        ModelError: there is none, or it has no end-of-sequence token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            resolve_path(config.model_name_or_path),
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
            local_files_only=not hub_answers(config),
        )
    except ModelError:
        raise
    except Exception as error:  # as above
        raise unreadable(config, error, "tokenizer") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"model.model_name_or_path: the tokenizer of {config.model_name_or_path!r} has no end-of-sequence token"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def unreadable(config: CausalModel, error: Exception, part: str) -> ModelError:
    """Distinguish a missing folder, a folder without the part, damaged files, and a hub out of reach."""
    name = config.model_name_or_path
    where = f"model.model_name_or_path: cannot load the {part} of {name!r}"
    reason = one_line(error)
    if type(error).__name__ not in ("OSError", "ValueError", "RuntimeError", "ImportError"):
        reason = f"{type(error).__name__}: {reason}"
    folder = Path(resolve_path(name))
    if folder.is_dir() and part == "tokenizer" and not list(folder.glob("*token*")):
        return ModelError(f"{where}: that folder has no tokenizer (tokenizer.json); save the model's tokenizer into it")
    if type(error).__name__ == "SafetensorError":
        reason += ". A file of weights is damaged or only a pointer to one (Git LFS); get the files again"
    if folder.is_dir():
        return ModelError(f"{where} from that folder: {reason}")
    if name.startswith(("/", "./", "../", "~")):
        return ModelError(f"{where}: there is no such folder")
    return ModelError(
        f"{where}: no folder of that name, and the hub could not give it ({reason}). Without a network, give "
        "the path of a local folder (config.json, model.safetensors, tokenizer.json), or builtin:tiny"
    )


def _refuse_other_tensors(name: str, report: Mapping[str, Any]) -> None:
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
            f"model.model_name_or_path: the weights of {name!r} are not those of the model in its config.json: "
            f"{faults}. Save model and weights again as one causal language model, or give the config.json that "
            "belongs to them"
        )


def _refuse_whole_numbers(folder: Path, model: Any) -> None:
    """Refuse a file whose header calls weights whole numbers, which would be converted."""
    floats = {key for key, tensor in model.named_parameters() if tensor.is_floating_point()}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            wrong = [key for key in floats & set(file.keys()) if file.get_slice(key).get_dtype()[:2] in WHOLE]
        if wrong:
            raise ModelError(
                f"model.model_name_or_path: {path} holds whole numbers where the model has real ones: "
                f"{listed(sorted(wrong))}. Save the weights again as floating-point numbers"
            )


def refuse_not_finite(name: str, model: torch.nn.Module) -> None:
    """Refuse weights that are NaN or infinite."""
    broken = [key for key, tensor in model.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelError(
            f"model.model_name_or_path: weights of {name!r} are NaN or infinite in {model.dtype}: {listed(broken)}. "
            "Give a sound copy, or a `model.dtype` that holds them"
        )


def _refuse_ends(name: str, model: Any) -> None:
    """Refuse end-of-turn tokens that are no tokens of the model."""
    ends, rows = model.generation_config.eos_token_id, model.get_input_embeddings().weight.shape[0]
    for end in ends if isinstance(ends, list | tuple) else [ends]:
        if end is not None and (type(end) is not int or not 0 <= end < rows):
            raise ModelError(
                f"model.model_name_or_path: eos_token_id of {name!r} is {end!r} in its generation_config.json (or "
                f"config.json), and the model has tokens 0 to {rows - 1}; write the token's id there"
            )


def refuse_foreign_tokens(name: str, tokenizer: Any, model: Any) -> None:
    """Refuse a tokenizer with tokens that the embedding lacks, and an output layer that gives such tokens.

    Raises:
        ModelError: names the tokens.
    """
    rows, outputs = model.get_input_embeddings().weight.shape[0], model.get_output_embeddings().weight.shape[0]
    foreign = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number >= rows)
    where = f"model.model_name_or_path: {name!r}"
    if foreign:
        pads = ", its padding token among them" if tokenizer.pad_token_id >= rows else ""
        raise ModelError(
            f"{where}: the embedding has {rows} rows, and its tokenizer has tokens beyond them"
            f"{pads}: {listed([f'{token!r} ({number})' for number, token in foreign])}. Give the tokenizer of this "
            "model, or enlarge the embedding (`model.resize_token_embeddings(len(tokenizer))`) and save both"
        )
    if outputs > rows:
        raise ModelError(f"{where}: the output layer gives {outputs} tokens, and the embedding has {rows} rows")


@torch.no_grad()
def refuse_unusable(name: str, model: Any) -> None:
    """Refuse a model that fails on four tokens, gives no finite logits, or reads what comes later as an encoder does.

    Raises:
        ModelError: says which.
    """
    where = f"model.model_name_or_path: {name!r}"
    ids_1T = torch.arange(4, device=model.device)[None] % model.get_input_embeddings().weight.shape[0]
    try:
        whole_1TV, part_1TV = (model(input_ids=ids, use_cache=False).logits for ids in (ids_1T, ids_1T[:, :3]))
    except Exception as error:
        raise ModelError(
            f"{where} fails on a text of four tokens: {type(error).__name__}: {one_line(error)}"
        ) from error
    if not bool(torch.isfinite(whole_1TV).all()):
        raise ModelError(f"{where} gives logits that are NaN or infinite in {model.dtype}; set another `model.dtype`")
    moved = (whole_1TV[:, :3] - part_1TV).float().abs().mean()
    if moved > 0.1 * whole_1TV.float().std():
        raise ModelError(
            f"{where} is no causal model: what it predicts for a token depends on the tokens after it; give a decoder"
        )


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
