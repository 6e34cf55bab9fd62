"""What a curriculum asks for and cannot have: packages that this machine lacks, a model without tools.

No package is imported.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.messages import Path
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.contract import LookUpFault
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.methods import Method

BITSANDBYTES = "bitsandbytes, which is not installed: pip install 'perdure[quantization]'"
NO_VLLM = (
    "vllm_mode 'colocate' needs vllm in this environment (pip install 'trl[vllm]'); a server in an environment of its "
    "own is `trl: {use_vllm: true, vllm_mode: server, vllm_server_base_url: URL}`"
)
NO_TOOLS = (
    "the model's chat template does not write calls and what tools return; take a model whose template has tools, such "
    "as Qwen2.5-Instruct or Qwen3"
)
TINY = "builtin:tiny"

OPTIMIZERS = {
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "adamw_anyprecision": "torchdistx",
    "adamw_torch_xla": "torch_xla",
    "adamw_torch_npu_fused": "torch_npu",
    "rmsprop_bnb": "bitsandbytes",
    "grokadamw": "grokadamw",
    "stable_adamw": "optimi",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "galore": "galore_torch",
    "apollo": "apollo_torch",
    "schedule_free": "schedulefree",
    "ademamix": "bitsandbytes",
    "lion": "bitsandbytes",
    "paged": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "adamw_bnb_8bit": "bitsandbytes",
}
"""The beginning of a name of an optimiser of transformers, and the module that it needs."""
PACKAGES = {"optimi": "torch-optimi", "lomo_optim": "lomo-optim", "liger_kernel": "liger-kernel"}
"""The packages of modules that are called otherwise."""


def lacking(curriculum: Curriculum) -> Iterator[LookUpFault]:
    """See `WorldSpec.lacking`."""
    model = curriculum.model
    assert isinstance(model, CausalModel), "the schema gives the language world its own model"
    if model.quantization is not None and find_spec("bitsandbytes") is None:
        message = f"{model.quantization} needs {BITSANDBYTES}, or leave `quantization` out"
        yield LookUpFault(("model", "quantization"), message, package=True)
    found: dict[Path, str] = {}
    for index, stage in enumerate(curriculum.stages):
        for name in candidate_methods(curriculum, stage):
            found |= _of_trl(_fields(curriculum, index, curriculum.spec.method(name)))
    yield from (LookUpFault(path, message, package=True) for path, message in found.items())
    for path, source in curriculum.tasks():
        if isinstance(source, EnvironmentTask) and _lacks_tools(model.model_name_or_path):
            yield LookUpFault((*path, "type"), f"an environment is played with tools, and {NO_TOOLS}")


def _fields(curriculum: Curriculum, index: int, method: Method) -> dict[str, tuple[Path, Any]]:
    """The fields under `trl` that a method has in a stage: the place of each, and its value."""
    objective, recipe = method.objective, method.recipe
    names = [name for name in (objective.parent, objective.name, recipe and recipe.name) if name]
    found: dict[str, tuple[Path, Any]] = {}
    for path, train in ((("train",), curriculum.train), (("stages", index, "train"), curriculum.stages[index].train)):
        for layer, section in ((path, train), *(((*path, name), getattr(train, name)) for name in names)):
            given = getattr(section, "trl", None) or {}
            found |= {key: ((*layer, "trl", key), value) for key, value in given.items()}
    return found


def _of_trl(fields: dict[str, tuple[Path, Any]]) -> Iterator[tuple[Path, str]]:
    where, uses = fields.get("use_vllm", ((), False))
    mode = fields.get("vllm_mode", ((), "colocate"))[1]
    if uses is True and mode == "colocate" and find_spec("vllm") is None:
        yield where, NO_VLLM
    where, kernel = fields.get("use_liger_kernel", ((), False))
    if kernel is True and find_spec("liger_kernel") is None:
        yield where, _needs("use_liger_kernel", "liger_kernel")
    where, optimizer = fields.get("optim", ((), None))
    module = module_of(optimizer) if isinstance(optimizer, str) else None
    if module is not None and find_spec(module) is None:
        yield where, _needs(f"optim {optimizer!r}", module)


def module_of(optimizer: str) -> str | None:
    """The module that an optimiser of transformers needs beside torch."""
    return next((module for beginning, module in OPTIMIZERS.items() if optimizer.startswith(beginning)), None)


def _needs(what: str, module: str) -> str:
    package = PACKAGES.get(module, module.replace("_", "-"))
    return f"{what} needs " + (
        BITSANDBYTES if module == "bitsandbytes" else f"{module}, which is not installed: pip install {package}"
    )


def _lacks_tools(model: str) -> bool:
    """True if the chat template of a local model has no word of tools; an adapter may leave it to its base."""
    folder = FilePath(model)
    if model == TINY or not folder.is_dir():
        return model == TINY
    texts = [one.read_text(errors="replace") for one in folder.glob("*.jinja")]
    config = folder / "tokenizer_config.json"
    try:
        texts += [str(json.loads(config.read_text()).get("chat_template") or "")] if config.is_file() else []
    except (OSError, ValueError, AttributeError):
        return False  # whoever loads it says what is wrong
    return bool(texts) and not any("tool" in text for text in texts)
