"""The section of a task that is played in turns: an environment whose methods are tools."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Batch, Items
from perdure.curriculum.own_code import CodeKind
from perdure.curriculum.worlds.language.text_source import DottedPath, HeldoutFile, TextSource

ENVIRONMENT = CodeKind(
    "the environment",
    "a class with `reset(self, **row)`, and its tools as public methods with docstrings",
    classes=True,
)


class EnvironmentTask(TextSource):
    """A class of yours whose methods are tools."""

    LOADER: ClassVar[str] = "perdure.curriculum.worlds.language.sources.environment:load"
    NEEDS: ClassVar[str] = "tools"

    type: Literal["environment"]
    path: Annotated[
        DottedPath,
        Field(
            description="`module:Class` as TRL's `environment_factory` takes it: `reset(**row)` begins an episode, and "
            "may return text for the prompt; public methods are tools; `get_reward()` scores, else `reward` does"
        ),
        ENVIRONMENT,
    ]
    data: Annotated[
        str, Field(min_length=1, description="file (also a URL) of rows, whose cells `reset` is given; also a hub id")
    ]
    prompt: Annotated[
        str | None, Field(min_length=1, description="the prompt of every row; default: their column `prompt`")
    ] = None
    heldout: Annotated[
        Annotated[Items, Field(ge=2)] | HeldoutFile,
        Field(description="how many rows are cut from the file to evaluate on, or a file of their own"),
    ] = 100  # type: ignore[assignment]
    max_tool_calling_iterations: Annotated[
        Batch, Field(ge=1, description="turns with calls of tools, after which an episode ends")
    ] = 8

    @model_validator(mode="after")
    def _turns_are_not_demonstrated(self) -> "EnvironmentTask":
        if self.demonstrations is not None:
            raise ValueError("`demonstrations` are single answers, and an environment is played in turns")
        if self.reward is not None and self.reward.type in ("source", "tool_calls", "code_tests"):
            raise ValueError(
                f"`reward: {{type: {self.reward.type}}}` does not score the last words of an episode; give "
                "`get_reward()` to the class, or another reward"
            )
        return self

    @property
    def may_demonstrate(self) -> bool | None:
        return False

    @property
    def may_reward(self) -> bool | None:
        return True if self.reward is not None else None

    @property
    def single_answers(self) -> bool:
        return False
