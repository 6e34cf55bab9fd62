"""The update methods: how a policy learns one task. One small module each, imported only when it is used."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from perdure.agent.methods.contract import Outcome
from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.methods import Method
from perdure.curriculum.sections import Common, TrlCommon
from perdure.curriculum.task import Task

METHODS: dict[Method, str] = {
    "sft": "perdure.agent.methods.sft",
    "rl": "perdure.agent.methods.rl",
    "chord": "perdure.agent.methods.chord",
    "gate": "perdure.agent.methods.gate",
    "tilt": "perdure.agent.methods.tilt",
    "sdft": "perdure.agent.methods.sdft",
    "rl_kl": "perdure.agent.methods.rl_kl",
    "eaft": "perdure.agent.methods.eaft",
    "sft_kl": "perdure.agent.methods.sft_kl",
    "low_lr_sft": "perdure.agent.methods.low_lr_sft",
    "replay": "perdure.agent.methods.replay",
    "ewc": "perdure.agent.methods.ewc",
    "l2": "perdure.agent.methods.l2",
    "lora": "perdure.agent.methods.lora",
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
    from perdure.agent.methods.config import build_config
    from perdure.agent.methods.data import check_task

    assert isinstance(settings, TrlCommon), "a method of the language world"
    try:
        config = build_config(method, settings, folder=Path(), seed=0, device_type="cpu", dtype="float32")
        if task is not None:
            check_task(method, task, config)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{place}: {error}") from error
