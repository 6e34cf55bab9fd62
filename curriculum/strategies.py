"""The sections of strategies, which choose the method of each stage. Importing it imports no torch."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Items, Samples, Seconds, Steps, Weight
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.own_code import STRATEGY
from perdure.curriculum.worlds.registry import MethodName


class FixedStrategy(Frozen):
    """One method for every stage that names none itself."""

    type: Literal["fixed"]
    method: Annotated[MethodName, Field(description="an objective and modifiers, or a recipe, as in Methods")]


class RuleStrategy(Frozen):
    """Chooses by the base rate, the demonstrations and the remaining budget. See `agent/strategies/rule.py`."""

    type: Literal["rule"]
    imitate: Annotated[
        MethodName, Field(description="the method where nothing succeeds yet or there is no reward; needs no reward")
    ] = "sft"
    reinforce: Annotated[
        MethodName,
        Field(description="the method without demonstrations or with little budget; needs no demonstrations"),
    ] = "rl"
    both: Annotated[MethodName, Field(description="the method where there is success, and budget")] = "chord"
    num_prompts: Annotated[Items, Field(ge=1, description="training prompts on which the base rate is measured")] = 32
    k: Annotated[Samples, Field(ge=1, description="samples a prompt, for pass@k")] = 8
    success: Annotated[float, Field(gt=0, le=1, description="pass@k below which there is no success to reinforce")] = (
        0.05
    )
    success_reward: Annotated[Weight, Field(description="reward from which a sample counts as a success")] = 0.5
    little_budget: Annotated[
        float, Field(ge=0, le=1, description="share of the budget that remains, at or below which it is little")
    ] = 0.5

    @property
    def slots(self) -> dict[str, str]:
        """The methods that it chooses among, by the field that names each."""
        return {"imitate": self.imitate, "reinforce": self.reinforce, "both": self.both}


class Trying(Frozen):
    """Settings that `probe`, `bandit` and `race` share: candidates, trials and their worth."""

    NEEDS: ClassVar[str] = "steps for its trials"

    candidates: Annotated[
        list[MethodName] | None,
        Field(
            min_length=1,
            description="methods to choose among; those that cannot learn the task are skipped; default: those "
            "of the world, `docs/strategies.md`",
        ),
    ] = None
    num_prompts: Annotated[
        Items, Field(ge=2, description="training items held out of the trials, on which the gain is measured")
    ] = 128
    k: Annotated[Samples, Field(ge=1, description="samples an item")] = 4
    share: Annotated[
        float, Field(gt=0, le=0.25, description="the most steps of all trials of a stage, as a share of its own")
    ] = 0.25
    min_steps: Annotated[
        Steps,
        Field(
            ge=1,
            description="fewest steps of a trial: if `share` leaves each candidate fewer, only the first ones are "
            "tried, at least two",
        ),
    ] = 5
    trials_count: Annotated[
        bool,
        Field(description="subtract the steps of the trials from the stage's own, so that the total stays the same"),
    ] = True
    forgetting_weight: Annotated[
        Weight, Field(ge=0, description="how many points of gain one point of forgetting is worth")
    ] = 1.0
    max_seconds: Annotated[
        Seconds | None,
        Field(gt=0, description="skip methods whose stage would take longer; the run then depends on the clock"),
    ] = None


class ProbeStrategy(Trying):
    """Tries each candidate for a few steps on a copy of the policy. See `agent/strategies/probe.py`."""

    type: Literal["probe"]


class BanditStrategy(Trying):
    """Learns over the stages which method pays for which kind of task. See `agent/strategies/bandit.py`."""

    type: Literal["bandit"]
    num_prompts: Annotated[
        Items,
        Field(ge=2, description="training items on which the gain is measured, and which trials and stage leave out"),
    ] = 128


class RaceStrategy(Trying):
    """Starts the first candidate, and all where it promises little. See `agent/strategies/race.py`."""

    NEEDS: ClassVar[str] = "steps for its rungs"

    type: Literal["race"]
    candidates: Annotated[
        list[MethodName] | None,
        Field(
            min_length=2,
            description="methods to choose among, two at least; of those that are not told apart the first is taken; "
            "those that cannot learn the task are skipped; default: those of the world",
        ),
    ] = None
    num_prompts: Annotated[
        Items,
        Field(ge=2, description="training items on which candidates are compared, and which the stage leaves out"),
    ] = 128
    share: Annotated[
        float, Field(gt=0, le=0.4, description="the most steps that losers make, as a share of the stage's own")
    ] = 0.125
    min_steps: Annotated[
        Steps,
        Field(
            ge=1,
            description="fewest steps to the first rung: if `share` leaves fewer, only the first candidates start, at "
            "least two",
        ),
    ] = 5
    trials_count: Annotated[
        bool, Field(description="subtract the losers' steps from the stage's own, so that the total stays the same")
    ] = True
    min_chance: Annotated[
        float,
        Field(
            ge=0,
            lt=0.5,
            description="a candidate starts only if, by the run's earlier races on such tasks, it has at least this "
            "chance to be worth more than the best; if the best alone is left it costs nothing; 0: all start in every "
            "stage",
        ),
    ] = 0.2
    min_gain: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="the first candidate starts alone, and the others only if at the first rung its expected value "
            "is less than this share of what is left to gain (1 less the mean reward); null: all start at once",
        ),
    ] = 0.1
    rungs: Annotated[
        list[Annotated[Steps, Field(ge=1)]] | None,
        Field(
            min_length=1,
            description="steps after which the worse half is out, and all but one at the last; default: by `share`, "
            "each twice as far as the one before",
        ),
    ] = None
    rung_seconds: Annotated[
        list[Annotated[Seconds, Field(gt=0)]] | None,
        Field(
            min_length=1,
            description="the same in seconds of training by a candidate, where updates keep checkpoints (not in the "
            "vision world); the run then depends on the clock",
        ),
    ] = None

    @model_validator(mode="after")
    def _rungs_rise(self) -> "RaceStrategy":
        if self.rungs is not None and self.rung_seconds is not None:
            raise broken_rule("`rungs` counts steps and `rung_seconds` seconds; give one of them", "rung_seconds")
        for name in ("rungs", "rung_seconds"):
            values = getattr(self, name) or []
            for index, (before, value) in enumerate(pairwise(values), 1):
                if value <= before:
                    raise broken_rule(f"rungs must rise, and {value:g} follows {before:g}", name, index)
        return self


class PythonStrategy(Frozen):
    """A strategy of your own. A function takes the settings in `args` and returns it."""

    type: Literal["python"]
    path: Annotated[
        str,
        Field(
            pattern=r"^[\w.-]+(:[A-Za-z_]\w*)?$",
            description="`module:name`, or a name in the entry-point group `perdure.strategies`",
        ),
        STRATEGY,
    ]
    args: Annotated[dict[str, Any], Field(description="keyword arguments")] = {}
    candidates: Annotated[
        list[MethodName] | None,
        Field(min_length=1, description="what it may choose; default: every method of the world"),
    ] = None


StrategyConfig = Annotated[
    FixedStrategy | RuleStrategy | ProbeStrategy | BanditStrategy | RaceStrategy | PythonStrategy,
    Field(discriminator="type"),
]
