"""The modifier `average`, a row of every world: it is done to the weights, whoever trained them."""

from perdure.curriculum.settings import Average
from perdure.curriculum.worlds.methods import MethodSpec


def average_in(world: str) -> MethodSpec:
    """Its row in one world."""
    return MethodSpec("average", world, "modifier", Average, "perdure.agent.enforcement.averaging")
