"""Knowledge of the base: the starts that are kept for it, and the interface that it was made for."""

import json

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.checks import look_at, simulator_for
from perdure.curriculum.worlds.control.demonstrations.recorded import Recollection, recorded_episodes, same_start
from perdure.curriculum.worlds.control.draw import known_starts, row_of
from perdure.curriculum.worlds.control.environments.registry import adapter_of, simulator_of
from perdure.curriculum.worlds.control.interface import Interface, refuse_other
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.policy_actions import policy_actions
from perdure.curriculum.worlds.control.saved import read_saved
from perdure.curriculum.worlds.control.starts import Environment
from perdure.curriculum.worlds.control.tasks import Gymnasium, Recorded
from perdure.curriculum.worlds.control.vla import TokenPolicy


def environment_of(config: Gymnasium) -> Environment:
    """The environment of a section, with what its family implies."""
    implied = adapter_of(config.id).defaults(config.id)
    kwargs = config.kwargs | ({} if config.env_name is None else {"env_name": config.env_name})
    return Environment(
        id=config.id,
        kwargs=json.dumps(kwargs, sort_keys=True),
        wrappers=tuple(config.wrappers),
        success=config.success or implied.get("success", "info"),
        success_key=config.success_key,
        horizon=config.horizon,
        action_repeat=config.action_repeat,
        instruction=config.instruction,
        seconds=config.seconds,
    )


def known_rows(model: ControlModel, config: Gymnasium, environment: Environment) -> frozenset[str]:
    """The starts of a task's environment that are kept for the base, told apart as the task tells its own apart."""
    if model.pretrain is None:
        return frozenset()
    found = [(one, environment_of(one.task)) for one in model.pretrain.tasks]
    return frozenset(
        row_of(config, start) for one, same in found if same.key == environment.key for start in known_starts(one, same)
    )


def refuse_unfit(interface: Interface, model: ControlModel) -> None:
    """Refuse an environment that the base cannot act in.

    Raises:
        ConfigError: it shows or takes something else; for a VLA, it shows no picture.
    """
    base = base_interface(model)
    if base is not None:
        refuse_other(interface, base)
    if not isinstance(model.policy, TokenPolicy):
        return
    if interface.image is None or len(interface.image) != 3 or interface.image[-1] != 3:
        raise ConfigError(
            f"{interface.owner} shows no picture of (height, width, 3), which a VLA needs; give it one by a wrapper "
            "(`wrappers: [gymnasium.wrappers:AddRenderObservation]`)"
        )


def known_firsts(model: ControlModel, environment: Environment) -> frozenset[str]:
    """The first observations of the recorded episodes of an environment that the base may imitate."""
    tasks = [] if model.pretrain is None else model.pretrain.tasks
    found = [(environment_of(one.task), one.task.demonstrations) for one in tasks]
    return frozenset(
        same_start(environment, recorded.episode.observations[0])
        for same, config in found
        if isinstance(config, Recorded) and same.key == environment.key
        for recorded in _recorded(config, same, model)
    )


def _recorded(config: Recorded, environment: Environment, model: ControlModel) -> list[Recollection]:
    owner = f"model.pretrain ({environment.title})"
    actions = policy_actions(model, simulator_of(environment).action_space, owner)
    return recorded_episodes(config, environment, actions, owner)


def base_interface(model: ControlModel) -> Interface | None:
    """The interface of the base: that of every task which it imitates, or of the policy that is loaded, if any is.

    Raises:
        ConfigError: tasks that differ; a folder that holds no policy of this model.
    """
    if model.pretrain is None:
        return None if model.path is None else read_saved(model).interface
    found = []
    for index, known in enumerate(model.pretrain.tasks):
        environment = environment_of(known.task)
        owner = f"model.pretrain.tasks[{index}] ({environment.title})"
        simulator_for(environment, owner)
        starts = list(known_starts(known, environment))
        if not starts:
            raise ConfigError(
                f"{owner}: of the listed `starts`, `heldout` takes {known.task.heldout}, which leaves none; list "
                "more, or set `heldout`"
            )
        found.append(look_at(environment, starts, model, owner)[0])
        refuse_other(found[-1], found[0])
    return found[0]
