"""Code that a file of the control world may name.

An environment's module and a wrapper may be of the user's own, of gymnasium, or of an installed package that requires
gymnasium; experts and success are functions of the user's own.
"""

from perdure.curriculum.own_code import CodeKind

ENVIRONMENT = CodeKind(
    "the environment",
    "a module that registers it with gymnasium when it is imported",
    libraries=("gymnasium",),
    builds_on="gymnasium",
    registers=True,
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
