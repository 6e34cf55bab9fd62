"""How the method of each stage is chosen, as a curriculum states it. Importing it imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field

from perdure.budget.config import Frozen
from perdure.curriculum.worlds.registry import MethodName

RULES: tuple[str, ...] = ("sft", "rl", "chord")
"""What `rule` chooses among."""

CANDIDATES: tuple[str, ...] = ("sft", "rl_kl", "low_lr_sft", "tilt")
"""What `probe` and `bandit` choose among where the file names no candidates.

One of each sort: imitation at the full rate, reinforcement held near the base, imitation at a low rate, and the
projection onto right answers. Every further candidate takes steps from the trials of the others, so that in a short
stage the first ones alone are tried.
"""


class FixedStrategy(Frozen):
    """One method for every stage that names none itself."""

    type: Literal["fixed"]
    method: Annotated[MethodName, Field(description="an objective and modifiers, or a recipe, as in Methods")]


class RuleStrategy(Frozen):
    """Chooses by the base rate, the demonstrations and the budget left (see `agent/strategies/rule.py`)."""

    type: Literal["rule"]
    num_prompts: Annotated[int, Field(ge=1, description="training prompts on which the base rate is measured")] = 32
    k: Annotated[int, Field(ge=1, description="samples a prompt, for pass@k")] = 8
    success: Annotated[float, Field(gt=0, le=1, description="pass@k below which there is no success to reinforce")] = (
        0.05
    )
    success_reward: Annotated[float, Field(description="reward from which a sample counts as a success")] = 0.5
    little_budget: Annotated[
        float, Field(ge=0, le=1, description="share of the budget left at or below which the budget is little")
    ] = 0.5


class Trying(Frozen):
    """What `probe` and `bandit` have in common: whom they try, on what, and what they look for."""

    candidates: Annotated[
        list[MethodName] | None,
        Field(
            min_length=1,
            description="methods to choose among, of which those that cannot learn the task are left out; default: "
            "`sft`, `rl_kl`, `low_lr_sft`, `tilt`",
        ),
    ] = None
    num_prompts: Annotated[
        int, Field(ge=2, description="training items set aside from a trial, on which its gain is measured")
    ] = 128
    k: Annotated[int, Field(ge=1, description="samples an item")] = 4
    share: Annotated[
        float, Field(gt=0, le=0.25, description="the most that all trials of a stage take, as a share of its steps")
    ] = 0.25
    min_steps: Annotated[
        int,
        Field(
            ge=1,
            description="steps below which a trial tells too little: where `share` is less for each, only the first "
            "candidates are tried, two at least",
        ),
    ] = 5
    trials_count: Annotated[
        bool,
        Field(
            description="the steps of the trials are taken off the stage's own, so that no more are made than without"
        ),
    ] = True
    forgetting_weight: Annotated[
        float, Field(ge=0, description="how many points of gain one point of forgetting is worth")
    ] = 1.0
    max_seconds: Annotated[
        float | None,
        Field(gt=0, description="leave out methods whose stage would take longer; the clock then has a say in the run"),
    ] = None


class ProbeStrategy(Trying):
    """Tries each candidate for a few steps on a fork of the policy (see `agent/strategies/probe.py`)."""

    type: Literal["probe"]


class BanditStrategy(Trying):
    """Learns over the stages which method pays for which kind of task (see `agent/strategies/bandit.py`)."""

    type: Literal["bandit"]


class PythonStrategy(Frozen):
    """A strategy of your own: a function that takes the settings in `args` and returns a strategy."""

    type: Literal["python"]
    path: Annotated[
        str,
        Field(
            pattern=r"^[\w.-]+(:[A-Za-z_]\w*)?$",
            description="`module:name`, or a name in the entry-point group `perdure.strategies`",
        ),
    ]
    args: Annotated[dict[str, Any], Field(description="keyword arguments")] = {}
    candidates: Annotated[
        list[MethodName] | None,
        Field(min_length=1, description="what it may choose; default: every method of the world"),
    ] = None


StrategyConfig = Annotated[
    FixedStrategy | RuleStrategy | ProbeStrategy | BanditStrategy | PythonStrategy, Field(discriminator="type")
]
