"""Fields that every task of the language world has: its reward, its numbers of items, its demonstrations."""

import re
import warnings
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Items, Weight
from perdure.budget.config import Frozen
from perdure.curriculum.own_code import DEMONSTRATIONS, REWARD
from perdure.curriculum.sandbox.config import SandboxConfig
from perdure.curriculum.worlds.contract import Source
from perdure.curriculum.worlds.reward_kinds import RewardKind, kinds_in_words

RewardName = Literal[
    "exact_match", "numeric", "multiple_choice", "regex", "math_verify", "tool_calls", "code_tests", "source"
]
REWARD_NAMES = (
    RewardKind("reward.type", "exact_match", "the text equals an answer, blanks aside", "answers"),
    RewardKind("reward.type", "numeric", "the last number is that of an answer", "answers"),
    RewardKind("reward.type", "multiple_choice", "the letter or option is the right one", "answers"),
    RewardKind("reward.type", "regex", "the pattern is found, its group an answer", "`pattern`"),
    RewardKind("reward.type", "math_verify", "it is the same mathematics as an answer", "answers"),
    RewardKind("reward.type", "tool_calls", "its tool calls are the expected ones, as data", "answers or calls"),
    RewardKind("reward.type", "code_tests", "its code passes the tests of the item", "`tests` and `sandbox`"),
    RewardKind("reward.type", "source", "the source's own verifier says so", "`reasoning_gym` or `python`"),
)
OWN_REWARD = RewardKind("reward.path", "module:function", "your function, with TRL's signature")
DottedPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Scalar = str | int | float | bool


class RewardConfig(Frozen):
    """A reward by name, or by dotted path with TRL's signature (give exactly one)."""

    type: Annotated[RewardName | None, Field(description=f"a reward by name; {kinds_in_words(REWARD_NAMES)}")] = None
    path: Annotated[
        DottedPath | None, Field(description="`module:function(prompts, completions, **columns)`"), REWARD
    ] = None
    pattern: Annotated[str | None, Field(max_length=1000, description="the regular expression, for `type: regex`")] = (
        None
    )
    ignore_case: Annotated[bool, Field(description="fold case before comparing")] = False
    tolerance: Annotated[Weight, Field(ge=0, description="absolute tolerance, for `type: numeric`")] = 1e-6
    in_order: Annotated[
        bool, Field(description="the calls count in their order, for `type: tool_calls`; `false`: in any order")
    ] = True
    partial: Annotated[
        bool, Field(description="the share of calls and arguments that are right, for `type: tool_calls`")
    ] = False
    sandbox: Annotated[
        SandboxConfig | None, Field(description="where `type: code_tests` runs what the model wrote; goes with it")
    ] = None
    timeout: Annotated[
        float | None,
        Field(
            ge=0,
            le=86_400,
            description="seconds, after which an answer scores 0: of a processor, for one answer (default 10); with "
            "`path` of the clock, for one call, whose answers are then tried one by one (default 300). `0`: no "
            "limit, and no process of its own (`code_tests` always has both)",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_of(self) -> "RewardConfig":
        if (self.type is None) == (self.path is None):
            raise ValueError("give `type` or `path`, not both and not neither")
        if (self.type == "regex") != (self.pattern is not None):
            raise ValueError("`type: regex` and `pattern` go together")
        for name, given in (("in_order", not self.in_order), ("partial", self.partial)):
            if given and self.type != "tool_calls":
                raise ValueError(f"`{name}` goes with `type: tool_calls`")
        if (self.type == "code_tests") != (self.sandbox is not None):
            raise ValueError(
                "`type: code_tests` runs what the model wrote, and only where you say: it and `sandbox` go together, "
                "such as `sandbox: {type: bubblewrap}`"
            )
        if self.sandbox is not None and self.timeout == 0:
            raise ValueError("`code_tests` always has a limit; give a `timeout` above 0")
        if self.pattern is not None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    re.compile(self.pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"`pattern` is no regular expression: {error}") from None
        return self


class HeldoutFile(Frozen):
    """Items to evaluate on that stand in a file of their own."""

    path: Annotated[str, Field(min_length=1, description="the file (also a URL), of the same layout")]
    limit: Annotated[Items | None, Field(ge=2, description="how many at most; default: all")] = None


class TextSource(Source):
    """Fields of every source of the language world."""

    LOADER: ClassVar[str]
    """`module:function` that makes the task."""
    ABOUT_READING: ClassVar[frozenset[str]] = frozenset({"chat"})
    """Settings that decide how an item is asked, and not which there are."""

    train: Annotated[Items, Field(ge=1, description="items to learn from")] = 500
    heldout: Annotated[Items, Field(ge=2, description="items to evaluate on, never trained on")] = 100
    demonstrations: Annotated[
        DottedPath | None,
        Field(description="`module:function(item) -> str` that writes the answer to imitate"),
        DEMONSTRATIONS,
    ] = None
    reward: Annotated[
        RewardConfig | None,
        Field(description="default: the source's own verifier; a `dataset` has none and can then only be imitated"),
    ] = None

    @property
    def may_demonstrate(self) -> bool | None:
        return True if self.demonstrations else None

    @property
    def pool(self) -> str | None:
        return self.model_dump_json(exclude={"train", "heldout", "demonstrations", "reward", *self.ABOUT_READING})
