"""The weights and tokenizer of a name, held against what its files say: transformers warns where this refuses."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from perdure.agent.worlds.checkpoints import Checkpoint, listed, load_checkpoint, unreadable
from perdure.agent.worlds.language.hub import resolve_path
from perdure.budget.errors import ModelError
from perdure.curriculum.messages import one_line
from perdure.curriculum.worlds.language.model import CausalModel


def checkpoint_of(config: CausalModel) -> Checkpoint:
    """The files of a model. Raises ModelError: no such built-in model."""
    return Checkpoint(
        config.model_name_or_path,
        resolve_path(config.model_name_or_path),
        config.revision,
        place="model.model_name_or_path",
        kind="causal language model",
        hint="the path of a local folder (config.json, model.safetensors, tokenizer.json), or builtin:tiny",
        trust_remote_code=config.trust_remote_code,
    )


def load_weights(config: CausalModel, dtype: torch.dtype, **more: Any) -> Any:
    """The causal model of a hub id or a folder that is no adapter, on the CPU unless `more` arguments say otherwise.

    Raises:
        ModelError: as `load_checkpoint`; its generation_config cannot be used; its files are quantized already.
    """
    model = load_checkpoint(AutoModelForCausalLM, checkpoint_of(config), dtype, **more)
    _refuse_quantized(config, model)
    _refuse_ends(config.model_name_or_path, model)
    return model


def load_tokenizer(config: CausalModel) -> Any:
    """The tokenizer of a hub id or folder; without a padding token it pads with its end token.

    Raises:
        ModelError: there is none, or it has no end-of-sequence token.
    """
    files = checkpoint_of(config)
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.folder, **files.files)
    except Exception as error:  # whatever transformers raises, it is about the files
        raise unreadable(files, error, "tokenizer") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"model.model_name_or_path: the tokenizer of {config.model_name_or_path!r} has no end-of-sequence token"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _refuse_ends(name: str, model: Any) -> None:
    """Refuse end-of-turn tokens that are no tokens of the model."""
    ends, rows = model.generation_config.eos_token_id, model.get_input_embeddings().weight.shape[0]
    for end in ends if isinstance(ends, list | tuple) else [ends]:
        if end is not None and (type(end) is not int or not 0 <= end < rows):
            raise ModelError(
                f"model.model_name_or_path: eos_token_id of {name!r} is {end!r} in its generation_config.json (or "
                f"config.json), and the model has tokens 0 to {rows - 1}; write the token's id there"
            )


def _refuse_quantized(config: CausalModel, model: Any) -> None:
    """Refuse weights that their files hold quantized, and that stay so: nothing could be trained or merged."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and (quantizer.pre_quantized or config.quantization is None):
        kind = getattr(quantizer.quantization_config, "quant_method", "quantized")
        raise ModelError(
            f"model.model_name_or_path: the files of {config.model_name_or_path!r} are quantized already "
            f"({getattr(kind, 'value', kind)}); give whole weights, with `quantization: 4bit` and `lora` to quantize "
            "them as they are loaded"
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
