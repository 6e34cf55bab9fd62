"""The user's own code in the control world."""

from perdure.curriculum.own_code import CodeKind

EXPERT = CodeKind("the expert", "`def expert(environment)`, which returns `act(observation)`", positional=1)
SUCCESS = CodeKind("the success", "`def success(episode) -> float`", positional=1)
