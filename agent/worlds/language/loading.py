"""From `model_name_or_path` to a policy in memory."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from perdure.agent.seeds import seeded
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel, LoraConfig

SMALL = 20_000_000
HUB_SECONDS = 10
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '\n' }}{% endif %}{% endfor %}"
)
"""For tokenizers without a chat template: each message on a line of its own, the answer closed by the end token."""


def load_policy(config: CausalModel, *, seed: int) -> LanguagePolicy:
    """Load model and tokenizer; with LoRA, put one fresh adapter on it (its down-projection is drawn from `seed`).

    Raises:
        ModelError: nothing there, no tokenizer, no safetensors, the hub out of reach, or a device that is missing.
    """
    tokenizer = _load_tokenizer(config)
    model = load_base(config)
    _choose_threads(model, config)
    if config.lora is not None:
        with seeded(seed):
            model = _add_adapter(model, config.lora)
    return LanguagePolicy(model, tokenizer)


def load_base(config: CausalModel) -> Any:
    """The base model alone, on its device, in evaluation mode.

    Raises:
        ModelError: as `load_policy`.
    """
    device = choose_device(config.device)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            resolve_path(config.model_name_or_path),
            revision=config.revision,
            dtype=choose_dtype(config.dtype, device),
            trust_remote_code=config.trust_remote_code,
            use_safetensors=True,
            local_files_only=not hub_answers(config),
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise _explain(config, error, "model") from error
    return model.to(device).eval()


def hub_answers(config: CausalModel) -> bool:
    """True where the hub answers within `HUB_SECONDS`; transformers itself would try for most of a minute.

    Without an answer only the local cache is read.
    """
    if config.model_name_or_path.startswith("builtin:") or Path(config.model_name_or_path).exists():
        return False
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(config.model_name_or_path, revision=config.revision, timeout=HUB_SECONDS)
    except HfHubHTTPError:
        return True
    except Exception:  # no network, a name the hub cannot have, a proxy that refuses: all mean that it gave nothing
        return False
    return True


def resolve_path(name: str) -> str:
    """The path of a model: `builtin:NAME` is inside this package, any other name is taken as it is.

    Raises:
        ModelError: no such built-in model.
    """
    if not name.startswith("builtin:"):
        return name
    shipped = Path(str(files("perdure.agent.worlds.language.builtin_model")))
    folder = shipped / name.removeprefix("builtin:")
    if not (folder / "config.json").is_file():
        known = ", ".join(sorted(f"builtin:{path.parent.name}" for path in shipped.glob("*/config.json")))
        raise ModelError(f"model.model_name_or_path: there is no {name!r}; shipped with perdure: {known}")
    return str(folder)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        ModelError: not a device, or one that this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"model.device: {name!r} is not a device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"model.device: {name!r} is not on this machine; use auto or cpu")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that has it, else float32, in which small learning rates do not vanish."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _load_tokenizer(config: CausalModel) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            resolve_path(config.model_name_or_path),
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
            local_files_only=not hub_answers(config),
        )
    except (OSError, ValueError, RuntimeError, ImportError, TypeError, AttributeError, KeyError) as error:
        raise _explain(config, error, "tokenizer") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"model.model_name_or_path: the tokenizer of {config.model_name_or_path!r} has no end-of-sequence token"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def _explain(config: CausalModel, error: Exception, part: str) -> ModelError:
    """Distinguish a missing folder, a folder without the part, and a hub out of reach."""
    name = config.model_name_or_path
    where = f"model.model_name_or_path: cannot load the {part} of {name!r}"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    folder = Path(resolve_path(name))
    if folder.is_dir() and part == "tokenizer" and not list(folder.glob("*token*")):
        return ModelError(f"{where}: that folder has no tokenizer (tokenizer.json); save the model's tokenizer into it")
    if folder.is_dir():
        return ModelError(f"{where} from that folder: {first_line}")
    if name.startswith(("/", "./", "../", "~")):
        return ModelError(f"{where}: there is no such folder")
    return ModelError(
        f"{where}: no folder of that name, and the hub could not give it ({first_line}). Without a network, give "
        "the path of a local folder (config.json, model.safetensors, tokenizer.json), or builtin:tiny"
    )


def _choose_threads(model: Any, config: CausalModel) -> None:
    """One thread for small models, which more threads slow down."""
    if config.threads == "auto":
        small = sum(parameter.numel() for parameter in model.parameters()) < SMALL
        torch.set_num_threads(1 if small else os.cpu_count() or 1)
    else:
        torch.set_num_threads(config.threads)


def _add_adapter(model: Any, config: LoraConfig) -> Any:
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    try:
        return get_peft_model(model, PeftLoraConfig(task_type="CAUSAL_LM", **config.model_dump()))
    except ValueError as error:
        raise ModelError(f"model.lora: {error}") from error
