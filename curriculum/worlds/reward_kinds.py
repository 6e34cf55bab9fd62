"""The rewards that the tasks of a world can have, as rows for `perdure list` and words for the schema."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RewardKind:
    """One way to reward the answers to a task.

    Attributes:
        key: the key of a task that names it, such as `reward.type`.
        name: the value of that key.
        summary: when an answer is right.
        needs: what it needs of the task.
    """

    key: str
    name: str
    summary: str
    needs: str = ""


def kinds_in_words(kinds: Iterable[RewardKind]) -> str:
    """Kinds of rewards for a description in the schema: "`regex`: the pattern is found; …"."""
    return "; ".join(f"`{one.name}`: {one.summary}" for one in kinds)
