"""What a benchmark hands back: figures, each with a target and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

Unit = Literal["s", "/s", "MB", "%", "×", "exponent"]
FORMATS: dict[Unit, str] = {
    "s": "{:.3g} s",
    "/s": "{:.3g} /s",
    "MB": "{:,.0f} MB",
    "%": "{:.1f} %",
    "×": "{:.3g} ×",
    "exponent": "{:.2f}",
}


class UnmeasuredError(Exception):
    """A benchmark could not be carried out; the message says why."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    model: Path | None = None
    threads: int | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Target:
    """The most (or least) that is allowed."""

    bound: Literal["at most", "at least"]
    value: float
    unit: Unit

    def met_by(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value <= self.value if self.bound == "at most" else value >= self.value

    def __str__(self) -> str:
        return f"{self.bound} {FORMATS[self.unit].format(self.value)}"


@dataclass(frozen=True)
class Series:
    """One quantity, measured several times."""

    values: tuple[float, ...]
    unit: Unit

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return FORMATS[self.unit].format(self.values[0])
        middle, low, high = (
            FORMATS[self.unit].format(value) for value in (self.median, min(self.values), max(self.values))
        )
        return f"{middle} [{low.removesuffix(' ' + self.unit)} … {high}]"


@dataclass(frozen=True)
class Figure:
    """What perdure took, what it is compared with, and the quantity that the target is about."""

    name: str
    perdure: Series
    other: Series | None
    judged: Series
    target: Target

    @property
    def verdict(self) -> str:
        """Judged by the median."""
        return "met" if self.target.met_by(self.judged.median) else "NOT met"

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table's columns have it."""
        other, judged = ("" if part is None else str(part) for part in (self.other, self._ratio))
        return self.name, str(self.perdure), other, judged, str(self.target), self.verdict

    @property
    def _ratio(self) -> Series | None:
        return self.judged if self.judged is not self.perdure else None


COLUMNS = ("figure", "perdure", "compared with", "ratio", "target", "verdict")


@dataclass(frozen=True)
class Report:
    """All figures of one benchmark, and what has to be said about them."""

    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def ratios(above: Sequence[float], below: Sequence[float], unit: Unit = "×") -> Series:
    """Pair by pair, so that what disturbs both sides of a pair cancels."""
    scale = 100 if unit == "%" else 1
    return Series(tuple(scale * a / b for a, b in zip(above, below, strict=True)), unit)


def against(name: str, perdure: Series, other: Series, target: Target, *, inverse: bool = False) -> Figure:
    """A figure whose target is about the ratio of the two; with `inverse`, how many times less perdure takes."""
    above, below = (other, perdure) if inverse else (perdure, other)
    return Figure(name, perdure, other, ratios(above.values, below.values, target.unit), target)


def alone(name: str, perdure: Series, target: Target) -> Figure:
    """A figure whose target is about the quantity itself."""
    return Figure(name, perdure, None, perdure, target)
