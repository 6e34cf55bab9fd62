"""The right labels of an image, by its true class, and those that a writer demonstrates. Imports nothing heavy."""

from typing import Literal

NUM_CLASSES = 10

LabelRule = Literal["parity", "at_least_five", "multiple_of_three", "prime", "label"]

LABEL_GROUPS: dict[LabelRule, tuple[tuple[int, ...], ...]] = {
    "parity": ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)),
    "at_least_five": ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),
    "multiple_of_three": ((0, 3, 6, 9), (1, 2, 4, 5, 7, 8)),
    "prime": ((0, 1, 4, 6, 8, 9), (2, 3, 5, 7)),
    "label": ((0,), (1,), (2,), (3,), (4,), (5,), (6,), (7,), (8,), (9,)),
}
"""Each rule sorts the ten classes into groups; every label of the true class's own group is right."""


def right_labels(rule: LabelRule, label: int) -> list[int]:
    """The right labels for an image of class `label`, in ascending order."""
    return next(list(group) for group in LABEL_GROUPS[rule] if label in group)


Writer = Literal["one", "two", "oracle", "label", "none"]

Variant = Literal["none", "shifted", "noisy", "dimmed", "inverted"]

ORACLE = "oracle"
"""In place of a list of labels: the writer draws from the base's own right answers, which the world computes."""


def writer_labels(writer: Writer, right: list[int], label: int) -> list[int] | str | None:
    """The labels that a writer chooses from, uniformly; `ORACLE` for the oracle, `None` for no writer.

    `one` gives the first right label (SFT-1 of RL's Razor, arXiv 2509.04259: even 0, odd 1), `two` the first or the
    third (SFT-2: even 0 or 4, odd 1 or 5), `label` the true class.
    """
    if writer == "two":
        return [right[0], right[2]]
    return {"one": [right[0]], "label": [label], "oracle": ORACLE, "none": None}[writer]
