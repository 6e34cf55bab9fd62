"""The end of an engine that TRL runs inside this process."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

SET_BY_VLLM = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The environment that TRL sets for it."""


def shut_down(trainer: Any) -> None:
    """End the engine that a trainer runs in this process, so that its memory is free for what comes after."""
    generation: Any = getattr(trainer, "vllm_generation", None)
    engine = getattr(generation, "llm", None)
    if engine is None:
        return
    engine.llm_engine.engine_core.shutdown()
    del generation.llm, engine
    distributed = sys.modules.get("vllm.distributed")
    if distributed is not None:
        distributed.cleanup_dist_env_and_memory()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def same_environment() -> Iterator[None]:
    """Put back, after, the variables of `torchrun` as they were: TRL sets them for an engine in this process."""
    before = {name: os.environ.get(name) for name in SET_BY_VLLM}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
