"""Strategies of a user's own, right and wrong."""

from typing import Any

from perdure.agent.strategies.contract import Decision, Situation


class ByBudget:
    """`near` once less than `below` of the budget is left, `fast` before."""

    def __init__(self, fast: str = "sft", near: str = "rl", below: float = 0.5) -> None:
        self.fast, self.near, self.below = fast, near, below

    def choose(self, situation: Situation) -> Decision:
        method: Any = self.near if situation.entry.left < self.below else self.fast
        return Decision(method, f"{situation.entry.left:.0%} left")


def first(**_: Any) -> ByBudget:
    """A function does as well as a class."""
    return ByBudget()


class Chooseless:
    """Has no `choose`."""


class Failing:
    """Fails when it is asked."""

    def choose(self, situation: Situation) -> Decision:
        raise KeyError("nowhere")
