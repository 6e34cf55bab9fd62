"""Looks up the environment that a task of the control world names, in gymnasium and in installed packages."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.contract import LookedUp, LookUpFault
from perdure.curriculum.worlds.control.tasks import Grid, Gymnasium

PACKAGES: dict[str, str] = {
    "BabyAI-": "minigrid",
    "MiniGrid-": "minigrid",
    "Meta-World/": "metaworld",
    "SimplerEnv/": "simpler_env",
}
"""The beginning of an id, and the package that has it."""


def look_up(source: Any) -> LookedUp:
    """See `WorldSpec.look_up`. The module of `module:Name-v0` is the user's code and is not imported."""
    assert isinstance(source, Gymnasium), "the only kind of task"
    if "train" in source.model_fields_set and source.starts != "random":
        rest = (
            "all places of a grid" if isinstance(source.starts, Grid) else "the listed starts before the held-out ones"
        )
        return LookedUp((LookUpFault(("train",), f"has no effect here: {rest} are trained on; leave it out"),))
    if ":" in source.id:
        return LookedUp()
    package = next((package for beginning, package in PACKAGES.items() if source.id.startswith(beginning)), None)
    if package == "simpler_env" or (package is not None and find_spec(package) is None):
        return LookedUp(unseen=(f"{source.id}, which needs the package {package}",))
    found = _in_metaworld(source) if package == "metaworld" else _in_gymnasium(source, package)
    return LookedUp(() if found is None else (found,))


def _in_gymnasium(source: Gymnasium, package: str | None) -> LookUpFault | None:
    from perdure.curriculum.worlds.control.code_kinds import look_up as registered

    if package is not None:
        import_module(package)
    try:
        registered(source.id)
    except ConfigError as error:
        return LookUpFault(("id",), str(error))
    return None


def _in_metaworld(source: Gymnasium) -> LookUpFault | None:
    from perdure.curriculum.worlds.control.environments.metaworld import name_of
    from perdure.curriculum.worlds.control.environments.metaworld_task import class_of
    from perdure.curriculum.worlds.control.known import environment_of

    try:
        name = name_of(environment_of(source))
    except ConfigError as error:
        return LookUpFault(("id",), str(error))
    try:
        class_of(name)
    except ConfigError as error:
        return LookUpFault(("env_name",), str(error).removeprefix("`env_name`: "))
    return None
