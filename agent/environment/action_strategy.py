"""The strategy of a life that is lived in the environment: it says what the environment was told to do."""

from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.errors import RunError

PATH = f"{__name__}:acting"
"""As a curriculum names it."""


class Acting:
    """Chooses what was put into it, once."""

    def __init__(self) -> None:
        self._next: Decision | None = None

    def tell(self, method: str, share: float, note: str | None = None) -> None:
        """What to choose next: a method, a share of what is left of the budget, and a note on the two."""
        reason = "the action of the environment" if note is None else f"the action of the environment; {note}"
        self._next = Decision(method, reason, {"share": share}, share=share)

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy.choose`.

        Raises:
            RunError: nothing was told, as where a life of the environment is resumed from its folder.
        """
        decision, self._next = self._next, None
        if decision is None:
            raise RunError("this life was lived in a gymnasium environment; it can be looked at and not gone on with")
        return decision


def acting() -> Acting:
    """For `strategy: {type: python}`."""
    return Acting()
