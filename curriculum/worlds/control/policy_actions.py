"""The actions of a policy in an environment."""

from typing import Any

from perdure.curriculum.worlds.control.actions import Actions, actions_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.token_actions import token_actions
from perdure.curriculum.worlds.control.vla import TokenPolicy


def policy_actions(model: ControlModel, space: Any, where: str) -> Actions:
    """The actions of an action space, as the policy chooses them.

    Raises:
        ConfigError: the space cannot be discretised.
        ModelError: a VLA's checkpoint cannot be read.
    """
    if isinstance(model.policy, TokenPolicy):
        return token_actions(model.policy, model.bins, space, where)
    return actions_of(space, model.bins, where)
