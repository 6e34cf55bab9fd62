"""The tasks of the control world."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from perdure.budget.bounds import Items, Level, Seconds, Steps, Weight
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.worlds.contract import Source
from perdure.curriculum.worlds.control.code_kinds import ENVIRONMENT, EXPERT, SUCCESS, WRAPPER
from perdure.curriculum.worlds.reward_kinds import RewardKind

_POOL = {"id", "env_name", "kwargs", "wrappers", "starts", "distinct", "train", "heldout"}
DOTTED = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""`module:name`."""


Line = Annotated[
    tuple[float, float, Annotated[Level, Field(ge=1)]],
    BeforeValidator(lambda said: tuple(said) if isinstance(said, list) else said),
]
"""From, to, and how many."""


class Grid(Frozen):
    """Starts on a grid. Held-out starts are random ones of the area that it covers."""

    grid: Annotated[
        list[Annotated[Level, Field(ge=1)]] | dict[str, Line],
        Field(
            min_length=1,
            description="places along each direction, for environments that have directions of their own (Meta-World: "
            "the object's x and y); or the options of `reset` by dotted path, each from, to, and how many",
        ),
    ]


class Given(Frozen):
    """One start."""

    seed: Annotated[int | None, Field(ge=0, lt=2**31, description="the seed of `reset`")] = None
    options: Annotated[dict[str, Any] | None, Field(description="the options of `reset`")] = None

    @model_validator(mode="after")
    def _says_something(self) -> "Given":
        if self.seed is None and self.options is None:
            raise broken_rule("a start needs a `seed` or `options`", "seed")
        return self


class Expert(Frozen):
    """Demonstrations by a scripted expert, one episode a training start."""

    type: Annotated[Literal["expert"], Field(description="a scripted expert")] = "expert"
    expert: Annotated[
        str | None,
        Field(
            pattern=DOTTED,
            description="`module:function` that takes the environment and returns `act(observation)`; default: the "
            "environment's own expert (BabyAI's bot, Meta-World's policies)",
        ),
        EXPERT,
    ] = None
    noise: Annotated[
        Weight,
        Field(
            ge=0,
            description="spread of the noise on executed actions, as a share of the action's range (for discrete "
            "actions the share of random ones); labels are the clean actions",
        ),
    ] = 0.0


class Recorded(Frozen):
    """Recorded demonstrations: episodes of a Minari dataset, a LeRobot folder, or an HDF5 or Parquet file."""

    type: Annotated[Literal["minari", "lerobot", "file"], Field(description="the format")]
    path: Annotated[str, Field(min_length=1, description="the file or folder; for Minari also a dataset's id")]
    episodes: Annotated[Items | None, Field(ge=1, description="first episodes only")] = None
    observation: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(
            min_length=1,
            description="the recorded parts that make up the environment's observation, in order, where there are "
            "others beside them (not for Minari)",
        ),
    ] = None
    action_repeat: Annotated[Level, Field(ge=1, description="steps for which a recorded action was held")] = 1

    @model_validator(mode="after")
    def _minari_has_its_own_parts(self) -> "Recorded":
        if self.type == "minari" and self.observation is not None:
            raise broken_rule("a Minari dataset has the environment's own observations; leave it out", "observation")
        return self


SUCCESSES = (
    RewardKind("success", "info", "the environment says success in `info`"),
    RewardKind("success", "return > X", "the return of the episode is above X"),
    RewardKind("success", "module:function", "your function of an `Episode`"),
)


class Gymnasium(Source):
    """A gymnasium environment. An item is one start, and a response is the episode that the policy plays from it."""

    NEEDS: ClassVar[str] = "`robots` for Meta-World"

    type: Literal["gymnasium"]
    id: Annotated[str, Field(min_length=1, description="the environment's id, also `module:Name-v0`"), ENVIRONMENT]
    env_name: Annotated[
        str | None, Field(min_length=1, description="the argument of that name, as Meta-World's ids need it")
    ] = None
    kwargs: Annotated[dict[str, Any], Field(description="further arguments of `gymnasium.make`")] = {}
    wrappers: Annotated[
        list[Annotated[str, Field(pattern=DOTTED)]],
        Field(description="wrappers, `module:Class`, the innermost first; each takes the environment alone"),
        WRAPPER,
    ] = []
    instruction: Annotated[
        str | None, Field(description="what the policy is told; default: what the environment tells, or its name")
    ] = None
    starts: Annotated[
        Literal["random"] | Grid | list[Given],
        Field(
            description="`random`, a grid, or a list of starts (the last `heldout` of which are held out); training "
            "and held-out starts are never the same"
        ),
    ] = "random"
    distinct: Annotated[
        Literal["state", "seed"],
        Field(
            description="when two random starts differ: in what is first observed (`state`), or in their seeds, for "
            "games of chance whose starts look alike"
        ),
    ] = "state"
    horizon: Annotated[Steps, Field(ge=1, description="decisions of an episode at most")] = 100
    action_repeat: Annotated[
        Level, Field(ge=1, description="steps for which an action is held; the same in all tasks of a curriculum")
    ] = 1
    success: Annotated[
        str | None,
        Field(
            pattern=r"^(info|return *>=? *-?\d+(\.\d+)?([eE][+-]?\d+)?|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
            description="when an episode is right: `info` (by `success_key`), `return > X`, or `module:function` of "
            "an `Episode`, a reward; default: `info`, for BabyAI and MiniGrid `return > 0`",
        ),
        SUCCESS,
    ] = None
    success_key: Annotated[str, Field(min_length=1, description="the key of `info` that tells success")] = "success"
    demonstrations: Annotated[
        Expert | Recorded | None,
        Field(discriminator="type", description="episodes to imitate; default: none"),
    ] = None
    train: Annotated[Items, Field(ge=1, description="starts to learn from; with a grid all of its places")] = 64
    heldout: Annotated[Items, Field(ge=2, description="starts to evaluate on")] = 50
    seconds: Annotated[Seconds, Field(gt=0, description="time limit of one decision of the environment")] = 10.0

    @property
    def may_demonstrate(self) -> bool | None:
        return self.demonstrations is not None

    @property
    def recorded(self) -> bool:
        """True if its demonstrations are recorded: their starts are not those of its items."""
        return isinstance(self.demonstrations, Recorded)

    @property
    def asked(self) -> int | None:
        return self.train if self.starts == "random" else None

    @property
    def needs_examined(self) -> bool:
        return self.recorded

    @property
    def pool(self) -> str:
        """The settings that decide which starts there are."""
        return self.model_dump_json(include=_POOL)
