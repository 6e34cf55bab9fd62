"""The strategy of a run in the environment: it returns the decision of each action."""

from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.errors import RunError

PATH = f"{__name__}:action_strategy"
"""The strategy's name in a curriculum."""


class ActionStrategy:
    """Returns each decision that was set, once."""

    def __init__(self) -> None:
        self._next: Decision | None = None

    def set_decision(self, method: str, share: float, note: str | None = None) -> None:
        """Set the next decision: a method, a share of the remaining budget, and a note for the reason."""
        reason = "the action of the environment" if note is None else f"the action of the environment; {note}"
        self._next = Decision(method, reason, {"share": share}, share=share)

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy.choose`.

        Raises:
            RunError: no decision is set, as when a run of the environment is resumed from its folder.
        """
        decision, self._next = self._next, None
        if decision is None:
            raise RunError("this run was made by a gymnasium environment; it can be shown but not resumed")
        return decision


def action_strategy() -> ActionStrategy:
    """The factory for `strategy: {type: python}`."""
    return ActionStrategy()
