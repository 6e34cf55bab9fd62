"""The events of a journal, a dataclass a kind; `lines.py` makes lines of them. Stage 0 is the base."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perdure.agent.run.event import Event, StageEvent
from perdure.budget.estimate import UNMEASURED, Estimate
from perdure.budget.monitor import Action, Reading
from perdure.budget.price import StagePrice
from perdure.eval.scorefile import Asked

SCHEMA = 2
"""Version of these fields, in the event that begins a journal. Version 1 did not say its number."""


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """The run began: all that must be the same when it is resumed. `data` are hashes of tasks and benchmarks.

    `code` are those of the files of the user's own code, by the name in the curriculum: an edit is told, not refused.
    `probe` is `builtin:NAME` or the hash of the file of `budget.generic`; `None` without one, and in older journals.
    """

    schema: int
    run: str
    tasks: tuple[str, ...]
    benchmarks: tuple[str, ...]
    curriculum: Mapping[str, Any]
    versions: Mapping[str, str]
    resolved: Mapping[str, str]
    world: str
    base_id: str
    base_sha256: str
    data: Mapping[str, str]
    law_sha256: str | None = None
    strict: bool = False
    code: Mapping[str, str] | None = None
    probe: str | None = None

    @property
    def known_probe(self) -> str | None:
        """As `Provenance.probe`; `None`: an older journal, which does not say what the file held."""
        return "" if self.curriculum.get("budget", {}).get("generic") is None else self.probe


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """The run goes on in another process; `edited` names the user's own code that is not as the run began with.

    `differs`: the differences of machine and Python, a line each, with which the same bits are not promised.
    """

    edited: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interrupted(Event):
    """The user stopped the run."""


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A strict run ended before any training, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """Every stage is done, after so many seconds."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class BaseSaved(Event):
    """The base's side of the KL is in the folder `base`: the SHA-256 of each file."""

    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Redone(StageEvent):
    """The user asked that this stage and all later ones be run again: what was said of them no longer counts."""


@dataclass(frozen=True, kw_only=True)
class Priced(StageEvent, StagePrice):
    """A stage with a target was priced."""


@dataclass(frozen=True)
class Candidate:
    """A method that was considered, and every figure that is known of it, by name; `None` where one is not."""

    method: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Decided(StageEvent):
    """The method of a stage, why, and the cap that follows.

    `share`: the part of the remaining budget that the strategy asked for. `steps_spent`: optimiser steps of trials,
    which are taken off the stage's own. `set_aside`: training items, the last ones, that the stage leaves out.
    `whole_schedule`: the learning rate's schedule is that of all steps, also of those that were taken off.
    """

    name: str
    method: str
    reason: str
    evidence: Mapping[str, Any]
    candidates: tuple[Candidate, ...]
    share: float | None
    cap: float | None
    steps_spent: int
    set_aside: int = 0
    whole_schedule: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured(StageEvent, Reading):
    """A reading of the monitor: before the first step (`entry`), during the stage, or at its end (`final`).

    `penalty_weight` is that of the KL term in the loss, where there is one.
    """

    entry: bool
    final: bool
    penalty_weight: float | None = None

    @property
    def predictors(self) -> dict[str, float]:
        """The predictors of a forgetting law, by its own names: nats a token, or fractions."""
        known = {
            "kl_base_to_policy": self.kl_per_token,
            "kl_policy_to_base": self.kl_policy_to_base_per_token,
            "total_variation": self.total_variation_per_token,
            "l2_distributions": self.l2_distributions_per_token,
            "jensen_shannon": self.jensen_shannon_per_token,
            "hellinger": self.hellinger_per_token,
            "kl_base_to_policy_generic": self.kl_generic_per_token or UNMEASURED,
        }
        quantiles = {"kl_base_to_policy_median": self.kl_median, "kl_base_to_policy_q90": self.kl_q90}
        return {name: one.value for name, one in known.items() if one.n} | {
            name: value for name, value in quantiles.items() if value is not None
        }


@dataclass(frozen=True, kw_only=True)
class Intervened(StageEvent):
    """The monitor ended an update, or moved the policy to `target`.

    A projection says from where (`start`), which `share` of the line was kept, after how many `readings`, and the KL
    there and at both ends. A recovery says its `steps`, the KL before and after, whether it came `within` the cap, and
    whether it was `undone` since the KL did not fall. An average says as a projection between which weights it is.
    """

    step: int
    action: Action
    reason: str
    target: str
    start: str | None = None
    share: float | None = None
    readings: int | None = None
    kl: float | None = None
    kl_within: float | None = None
    kl_beyond: float | None = None
    steps: int | None = None
    kl_before: float | None = None
    kl_after: float | None = None
    within: bool | None = None
    undone: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreEvent(StageEvent):
    """A score of the policy on a task or a benchmark."""

    name: str
    value: float
    stderr: float | None
    n: int

    @property
    def estimate(self) -> Estimate:
        """The score itself."""
        return Estimate(self.value, self.stderr, self.n)


@dataclass(frozen=True, kw_only=True)
class Unscored(StageEvent):
    """Answers to a task or benchmark that got 0 without a verdict: in learning or scoring; why, and how many."""

    task: str
    phase: Literal["learning", "scoring"]
    answers: Mapping[str, int]


End = Literal["within", "beyond"]


@dataclass(frozen=True, kw_only=True)
class EndScored(ScoreEvent):
    """A score at one end of the line of a projection: the last state within the cap, or beyond it."""

    end: End


@dataclass(frozen=True, kw_only=True)
class Scored(ScoreEvent):
    """A score after a stage; `file` holds the results of single items.

    `truncated` answers were cut off at `evaluation.max_completion_length`. `by_member`: the mean of a group's tasks.
    `asked` is known where a part of the items was asked alone.
    """

    kind: str
    file: str
    truncated: int = 0
    by_member: bool = False
    asked: Asked | None = None

    @property
    def mostly_truncated(self) -> bool:
        """True if half of the answers or more were cut off."""
        return 0 < self.n <= 2 * self.truncated


@dataclass(frozen=True, kw_only=True)
class Committed(StageEvent):
    """A stage is done; `penalty_weight` as in `Measured`."""

    name: str
    method: str | None
    steps: int
    seconds: float
    weights_sha256: str
    penalty_weight: float | None = None


Notice = Literal[
    "repeated",
    "examined",
    "unusable",
    "fewer",
    "fewer_heldout",
    "failed",
    "too_long",
    "cut_off",
    "no_reward",
    "equal_rewards",
    "no_success",
    "unrewarded",
    "truncated",
]
"""The reasons for which a stage learns from less than it was given; `cli/views/describe.py` says each in words."""


@dataclass(frozen=True, kw_only=True)
class Noticed(StageEvent):
    """Data that a stage left out or learned nothing from: `count` of it, `of` so many where that is known."""

    notice: Notice
    count: int
    of: int = 0


KINDS: dict[str, type[Event]] = {
    "started": Started,
    "resumed": Resumed,
    "base": BaseSaved,
    "redo": Redone,
    "price": Priced,
    "decision": Decided,
    "reading": Measured,
    "intervention": Intervened,
    "end_score": EndScored,
    "score": Scored,
    "notice": Noticed,
    "unscored": Unscored,
    "commit": Committed,
    "interrupted": Interrupted,
    "refused": Refused,
    "finished": Finished,
}
