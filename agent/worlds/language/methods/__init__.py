"""The update methods: how a policy learns one task. One small module each, imported only when it is used."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from perdure.agent.worlds.update import Outcome
from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.settings import Common, TrlCommon
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Method

METHODS: dict[Method, str] = {
    "sft": "perdure.agent.worlds.language.methods.sft",
    "rl": "perdure.agent.worlds.language.methods.rl",
    "chord": "perdure.agent.worlds.language.methods.chord",
    "gate": "perdure.agent.worlds.language.methods.gate",
    "tilt": "perdure.agent.worlds.language.methods.tilt",
    "sdft": "perdure.agent.worlds.language.methods.sdft",
    "rl_kl": "perdure.agent.worlds.language.methods.rl_kl",
    "eaft": "perdure.agent.worlds.language.methods.eaft",
    "sft_kl": "perdure.agent.worlds.language.methods.sft_kl",
    "low_lr_sft": "perdure.agent.worlds.language.methods.low_lr_sft",
    "replay": "perdure.agent.worlds.language.methods.replay",
    "ewc": "perdure.agent.worlds.language.methods.ewc",
    "l2": "perdure.agent.worlds.language.methods.l2",
    "lora": "perdure.agent.worlds.language.methods.lora",
}
"""Where the `update` function of each method is."""


def find_update(method: Method) -> Callable[..., Outcome]:
    """The method's `update(policy, task, settings, *, seed, folder, watch, beside)`; this imports torch and TRL."""
    return import_module(METHODS[method]).update  # type: ignore[no-any-return]


def check_settings(method: Method, settings: Common, place: str, task: Task | None = None) -> None:
    """Refuse settings that TRL refuses, and a task that the method cannot learn with them, before anything is trained.

    `place` says where the settings stand, such as `stages.sums.train`.

    Raises:
        ConfigError, DataError: the fault, with its place.
    """
    from perdure.agent.worlds.language.trl.config import build_config
    from perdure.agent.worlds.language.trl.rows import check_task

    assert isinstance(settings, TrlCommon), "a method of the language world"
    try:
        config = build_config(method, settings, folder=Path(), seed=0, device_type="cpu", dtype="float32")
        if task is not None:
            check_task(method, task, config)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{place}: {error}") from error
