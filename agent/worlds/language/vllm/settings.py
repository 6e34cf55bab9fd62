"""What a TRL config says of vLLM, and what can be known of it before anything is trained."""

from importlib.util import find_spec
from typing import Any

import torch

from perdure.agent.worlds.language.vllm.server import VllmServer
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.language.machine import NO_VLLM

ALONE = "leave it out, or start one process"


def uses_server(config: Any) -> bool:
    """True where a TRL config samples by a server."""
    return bool(getattr(config, "use_vllm", False)) and config.vllm_mode == "server"


def server_of(config: Any) -> VllmServer:
    """The server that a TRL config names."""
    url = config.vllm_server_base_url or f"http://{config.vllm_server_host}:{config.vllm_server_port}"
    return VllmServer(url, config.vllm_server_timeout)


def check_vllm(config: Any) -> None:
    """Refuse, before anything is trained, what cannot be: a server that is not up, an engine without vllm or a GPU.

    Raises:
        ConfigError, ModelError: says what to do.
    """
    if getattr(config, "use_vllm", False) and ranks.count() > 1:
        raise ConfigError(f"use_vllm: vLLM is not asked by several processes, and these are {ranks.count()}; {ALONE}")
    if uses_server(config):
        server_of(config).check()
    elif getattr(config, "use_vllm", False):
        if find_spec("vllm") is None:
            raise ConfigError(NO_VLLM)
        if not torch.cuda.is_available():
            raise ConfigError("vllm_mode 'colocate' needs a GPU, and torch sees none; use transformers or a server")
