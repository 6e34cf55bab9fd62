"""Code that a file of the control world may name.

An environment's module and a wrapper may be of the user's own, of gymnasium, or of an installed package that requires
gymnasium; experts and success are functions of the user's own.
"""

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean, shorten
from perdure.curriculum.own_code import CodeKind


def look_up(id: str) -> None:
    """Nothing, where gymnasium knows an environment; a module in its id is imported before.

    Raises:
        ConfigError: it does not; near ids are named.
    """
    import gymnasium

    module, _, name = id.rpartition(":")
    if name in gymnasium.registry:
        return
    known = [f"{module}:{one}" if module else one for one in gymnasium.registry]
    rule = f"{module!r} must register it" if module else "`module:Name-v0` imports the module that registers it"
    raise ConfigError(f"gymnasium has no environment {shorten(id)!r}{did_you_mean(id, known)}; {rule}")


ENVIRONMENT = CodeKind(
    "the environment",
    "a module that registers it with gymnasium when it is imported",
    libraries=("gymnasium",),
    builds_on="gymnasium",
    registers=look_up,
)
WRAPPER = CodeKind(
    "the wrapper",
    "a class or function that takes the environment alone and returns it wrapped",
    positional=1,
    classes=True,
    libraries=("gymnasium",),
    builds_on="gymnasium",
)
EXPERT = CodeKind("the expert", "`def expert(environment)`, which returns `act(observation)`", positional=1)
SUCCESS = CodeKind("the success", "`def success(episode) -> float`", positional=1)
