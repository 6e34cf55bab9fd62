"""The totals of a harness: tried, held, lost."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Totals:
    """The cases of a harness that were tried, and a line about each that was lost; all others held."""

    tried: int
    lost: tuple[str, ...] = ()

    @property
    def held(self) -> int:
        return self.tried - len(self.lost)


def count(outcomes: Iterable[str | None]) -> Totals:
    """The totals of outcomes: `None` for a case that held, a line about one that was lost."""
    found = list(outcomes)
    return Totals(len(found), tuple(one for one in found if one is not None))
