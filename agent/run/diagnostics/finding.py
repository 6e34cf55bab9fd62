"""A finding, and the facts that findings are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perdure.agent.run.report import Change
from perdure.agent.run.state import RunState, StageState
from perdure.curriculum.worlds.nouns import Nouns

Kind = Literal[
    "broken",
    "unrewarded",
    "equal_rewards",
    "no_update",
    "weights_unchanged",
    "worse",
    "unmoved",
    "cap_used_up",
    "above_cap",
    "projected",
    "largest_penalty",
    "all_truncated",
    "answers_truncated",
    "damaged",
    "unscored",
    "repeated",
    "base_perfect",
    "at_floor",
    "few_items",
    "notice",
]


@dataclass(frozen=True)
class Finding:
    """One thing that a reader must know; `stage` 0 is the base. `figures` are those in `text`."""

    kind: Kind
    stage: int
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepCurve:
    """A figure of every optimiser step of a stage, in order."""

    name: Literal["loss", "reward"]
    values: tuple[float, ...]


@dataclass(frozen=True)
class RunFacts:
    """The record of a run, and what was computed from its files.

    Attributes:
        own_changes: the change of each stage's own task since the row before, paired by item.
        curves: the reward of each stage's steps, or the loss where there is no reward.
        damaged: the fault of a score file, if one has any.
        guessing: of each benchmark of choices, the accuracy of guessing, from 0 to 1.
    """

    record: RunState
    own_changes: Mapping[int, Change] = field(default_factory=dict)
    curves: Mapping[int, StepCurve] = field(default_factory=dict)
    guessing: Mapping[str, float] = field(default_factory=dict)
    damaged: str | None = None

    @property
    def nouns(self) -> Nouns:
        """The words of the run's world."""
        return self.record.nouns

    @property
    def base(self) -> StageState:
        """Row 0, perhaps still empty."""
        return self.record.row(0) or StageState(0, "base")

    @property
    def done(self) -> tuple[StageState, ...]:
        """The stages that are done."""
        return self.record.done
