"""The simulator of an environment, made once a process, and the adapter of its family."""

from functools import lru_cache
from importlib import import_module
from typing import Any

from perdure.curriculum.worlds.control.environments.contract import Adapter, Simulator
from perdure.curriculum.worlds.control.starts import Environment

ADAPTERS: dict[str, str] = {
    "BabyAI-": "perdure.curriculum.worlds.control.environments.minigrid",
    "MiniGrid-": "perdure.curriculum.worlds.control.environments.minigrid",
    "Meta-World/": "perdure.curriculum.worlds.control.environments.metaworld",
    "SimplerEnv/": "perdure.curriculum.worlds.control.environments.simpler",
}
"""The beginning of an id, and the module of its family (see `contract.Adapter`)."""

GENERAL = "perdure.curriculum.worlds.control.environments.general"
"""The adapter of every other environment."""


def adapter_of(id: str) -> Adapter:
    """The adapter of an id."""
    family = next((module for beginning, module in ADAPTERS.items() if id.startswith(beginning)), GENERAL)
    module: Any = import_module(family)
    return module  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def simulator_of(environment: Environment) -> Simulator:
    """The simulator of an environment, kept in this process.

    Raises:
        ConfigError: there is no such environment, or it cannot be made.
    """
    return adapter_of(environment.id).make(environment)
