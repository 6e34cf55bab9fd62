"""The world `scalar`, and two methods for other worlds, as a package of somebody else's states them."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from perdure.budget.config import Frozen
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.contract import ModelSection, Source, WorldSpec
from perdure.curriculum.worlds.methods import MethodSpec


class ScalarModel(ModelSection):
    """A policy of one number, which begins at 0."""

    WORLD: ClassVar[str] = "scalar"
    IS_SMALL: ClassVar[bool] = True

    type: Annotated[Literal["scalar"], Field(description="a policy of one number")]

    @property
    def title(self) -> str:
        return "the number 0"


class Target(Source):
    """Reach a number."""

    type: Annotated[Literal["target"], Field(description="a number to be reached")]
    number: Annotated[float, Field(description="the number, to one digit")]

    @property
    def may_demonstrate(self) -> bool | None:
        return True


class Climb(Common):
    """Adds the learning rate a step."""


class Brake(Frozen):
    """Pulls the number back to where the base is."""

    strength: Annotated[float, Field(gt=0, description="how hard")] = 0.1


def build(
    config: Target, *, name: str, seed: int, origin: Path | None, model: Any, train: bool, examined: frozenset[str]
) -> Task:
    answer = f"{config.number:.1f}"
    items = tuple(Item(f"{name} {number}", answer=answer, demonstration=answer) for number in range(8))
    return Task(name, items[:6], items[6:], near)


def near(items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
    """1 where the number is reached."""
    return [float(completion == item.answer) for item, completion in zip(items, completions, strict=True)]


CODE = "perdure_scalar.world"
DEMONSTRATIONS, REWARD = frozenset({"demonstrations"}), frozenset({"reward"})

SCALAR = WorldSpec(
    name="scalar",
    model=ScalarModel,
    tasks=(Target,),
    settings=(Common,),
    methods=(
        MethodSpec("climb", "scalar", "objective", Climb, CODE, DEMONSTRATIONS),
        MethodSpec("brake", "scalar", "modifier", Brake, CODE),
    ),
    recipes=(),
    plugin=CODE,
    build="perdure_scalar.spec:build",
    accepts="a number is reached: use `type: target`",
    demonstrations_from="every target has them",
    one_step_answers=True,
)


class Leap(Common):
    """A policy gradient whose losses are doubled, for the vision world."""


class Hold(Frozen):
    """Adds nothing, as often as it is told."""

    times: Annotated[int, Field(ge=1, description="how often")] = 1


LEAP = MethodSpec(
    "leap",
    "vision",
    "objective",
    Leap,
    "perdure_scalar.leap",
    REWARD,
    {
        "learning_rate": 1e-3,
        "num_train_epochs": 1.0,
        "per_device_train_batch_size": 16,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
    },
)
HOLD = MethodSpec("hold", "vision", "modifier", Hold, "perdure_scalar.hold")
