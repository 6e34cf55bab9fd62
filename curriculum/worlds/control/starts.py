"""The items of the control world: an environment, and one state that an episode begins from."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Environment:
    """One environment as a task plays it; two that are equal share a simulator.

    Attributes:
        id: gymnasium's id, `module:Name-v0` included.
        kwargs: further arguments of `gymnasium.make`, as JSON.
        wrappers: `module:Class`, the innermost first.
        success: `info`, `return>=X`, or `module:function` of an `Episode`.
        success_key: the key of `info` that tells success.
        horizon: decisions of an episode at most.
        action_repeat: steps for which an action is held.
        instruction: what the policy is told; `None`: what the environment tells.
        seconds: time limit of one decision.
    """

    id: str
    kwargs: str = "{}"
    wrappers: tuple[str, ...] = ()
    success: str = "info"
    success_key: str = "success"
    horizon: int = 100
    action_repeat: int = 1
    instruction: str | None = None
    seconds: float = 10.0

    @property
    def arguments(self) -> dict[str, Any]:
        """The further arguments of `gymnasium.make`."""
        return dict(json.loads(self.kwargs))

    @cached_property
    def key(self) -> str:
        """Equal for environments whose states are the same."""
        return json.dumps([self.id.rpartition(":")[2], self.kwargs, self.wrappers])

    @property
    def by_return(self) -> bool:
        """True if a return above a threshold is success."""
        return self.success != "info" and ":" not in self.success

    @property
    def title(self) -> str:
        """The id, with the name of the task where one id has many."""
        return "/".join([self.id, *(str(value) for name, value in self.arguments.items() if name == "env_name")])


@dataclass(frozen=True)
class Start:
    """The state that an episode begins from: `reset(seed=seed, options=options)`, the options as JSON."""

    environment: Environment
    seed: int | None = None
    options: str | None = None

    @property
    def identity(self) -> str:
        """See `perdure.curriculum.task.question`: equal for starts of the same state."""
        return json.dumps([self.environment.key, self.seed, self.options])

    @classmethod
    def of_identity(cls, identity: str, environment: Environment) -> "Start | None":
        """The start of an identity, if it is one of this environment."""
        try:
            key, seed, options = json.loads(identity)
        except (ValueError, TypeError):
            return None
        return cls(environment, seed, options) if key == environment.key else None

    @property
    def words(self) -> str:
        """`BabyAI-GoToObj-v0, seed 130186214`."""
        given = {"seed": self.seed, "options": self.options}
        return ", ".join([self.environment.title, *(f"{name} {one}" for name, one in given.items() if one is not None)])

    @property
    def reset_options(self) -> dict[str, Any] | None:
        """The options, as `reset` takes them."""
        return None if self.options is None else json.loads(self.options)

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    __repr__ = __str__
