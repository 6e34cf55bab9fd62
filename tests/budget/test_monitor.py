"""What the monitor reads, and what it demands."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.config import BudgetConfig
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement, Monitor, Reading


class Meter:
    """Says what it is told to, and remembers whose prompts were asked for."""

    def __init__(self, kl: float) -> None:
        self.kl = kl
        self.asked: list[str] = []

    def __call__(self, names: Sequence[str]) -> Measurement:
        self.asked = list(names)
        groups = tuple(Group((self.kl, self.kl), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups)


def read(kl: float, **config: object) -> tuple[Monitor, Reading]:
    monitor = Monitor(BudgetConfig.model_validate({"kl": 1.0, "unit": "sequence"} | config), Meter(kl))
    return monitor, monitor.read(7, ["a", "b"])


@pytest.mark.parametrize(("prompts", "asked"), [("seen", ["a", "b"]), ("task", ["b"]), ("generic", ["generic"])])
def test_whose_prompts(prompts: str, asked: list[str]) -> None:
    meter = Meter(0.0)
    Monitor(BudgetConfig.model_validate({"kl": 1.0, "prompts": prompts}), meter).read(0, ["a", "b"])
    assert meter.asked == asked


@pytest.mark.parametrize(
    ("enforce", "kl", "demand"),
    [
        ("observe", 5.0, None),
        ("observe", math.inf, "broken"),
        ("observe", math.nan, "broken"),
        ("stop", 1.0, None),  # at the cap is within it
        ("stop", 1.01, "stop"),
        ("stop", math.inf, "stop"),
        ("stop", math.nan, "broken"),
        ("rollback", 1.01, "rollback"),
        ("rollback", math.inf, "rollback"),
        ("rollback", math.nan, "broken"),
    ],
)
def test_demands(enforce: str, kl: float, demand: str | None) -> None:
    monitor, reading = read(kl, enforce=enforce)
    assert monitor.demands(reading) == demand


def test_the_unit_decides_what_the_cap_counts() -> None:
    # 1.5 nats a text of two tokens: 0.75 a token
    assert not read(1.5)[1].within
    assert read(1.5, unit="token")[1].within


def test_readings_are_due_every_so_many_steps() -> None:
    monitor, _ = read(0.0, every=20)
    assert [step for step in range(1, 61) if monitor.due(step)] == [20, 40, 60]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_is_left_is_a_share(kl: float) -> None:
    _, reading = read(abs(kl))
    assert 0 <= reading.left <= 1
    assert reading.within == (abs(kl) <= 1)
