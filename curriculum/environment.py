"""The section `environment` of a curriculum."""

from typing import Annotated

from pydantic import Field

from perdure.budget.bounds import Weight
from perdure.budget.config import Frozen


class Environment(Frozen):
    """The reward of the gymnasium environment (docs/environment.md); no command uses it.

    It is the weighted gain less the weighted falls. An argument of `gymnasium.make` of the same name wins.
    """

    gain_weight: Annotated[
        Weight,
        Field(ge=0, description="weight of the rise of the stage's own task and of later ones"),
    ] = 1.0
    forgetting_weight: Annotated[
        Weight, Field(ge=0, description="weight of the fall of the tasks of earlier stages")
    ] = 1.0
    benchmark_weight: Annotated[Weight, Field(ge=0, description="weight of the mean fall of the benchmarks")] = 1.0
