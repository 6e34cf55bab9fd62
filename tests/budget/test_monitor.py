"""What the monitor reads, and what it demands."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.config import BudgetConfig
from perdure.budget.errors import ConfigError
from perdure.budget.estimate import Estimate, Group
from perdure.budget.monitor import GENERIC, Measurement, Monitor, Reading


class Meter:
    """Says what it is told to, and remembers whose prompts were asked for."""

    def __init__(self, kl: float) -> None:
        self.kl = kl
        self.asked: list[str] = []

    def __call__(self, names: Sequence[str]) -> Measurement:
        self.asked = list(names)
        groups = tuple(Group((self.kl, self.kl), (2, 2)) for _ in names)
        return Measurement(groups, groups, groups, groups, groups, groups)


def read(kl: float, **config: object) -> tuple[Monitor, Reading]:
    monitor = Monitor(BudgetConfig.model_validate({"kl": 1.0, "unit": "sequence"} | config), Meter(kl))
    return monitor, monitor.read(7, ["a", "b"])


@pytest.mark.parametrize(("prompts", "asked"), [("seen", ["a", "b"]), ("task", ["b"]), ("generic", [GENERIC])])
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
        # something brings the KL down again, so that the update goes on to its end
        ("project", 5.0, None),
        ("penalty", 5.0, None),
        (["penalty", "rollback"], 5.0, None),
        (["recover", "rollback"], 5.0, None),
        (["penalty", "project"], 5.0, None),
        (["penalty", "stop"], 5.0, "stop"),
        (["recover", "stop"], 5.0, "stop"),
        # but not from where no figure is left
        (["penalty", "rollback"], math.inf, "broken"),
        ("project", math.inf, "broken"),
        (["recover", "project"], math.nan, "broken"),
    ],
)
def test_what_ends_an_update(enforce: str | list[str], kl: float, demand: str | None) -> None:
    monitor, reading = read(kl, enforce=enforce)
    assert monitor.demands(reading) == demand


@pytest.mark.parametrize(
    ("enforce", "kl", "remedies"),
    [
        ("observe", 5.0, ()),
        ("observe", math.inf, ("broken",)),
        ("stop", 5.0, ("stop",)),
        ("stop", math.inf, ("stop",)),
        ("rollback", 1.0, ()),
        ("rollback", 5.0, ("rollback",)),
        ("rollback", math.inf, ("rollback",)),
        ("penalty", 5.0, ()),
        (["penalty", "rollback"], 5.0, ("rollback",)),
        (["project", "penalty"], 5.0, ("project",)),
        (["project", "recover"], 5.0, ("recover", "project")),  # however they were written
        (["stop", "recover"], 5.0, ("recover", "stop")),
        ("recover", 5.0, ("recover",)),
        (["recover", "project"], math.inf, ("broken",)),
        ("rollback", math.nan, ("broken",)),
    ],
)
def test_what_is_done_where_a_stage_ends_above_its_cap(
    enforce: str | list[str], kl: float, remedies: tuple[str, ...]
) -> None:
    monitor, reading = read(kl, enforce=enforce)
    assert monitor.remedies(reading) == remedies


@pytest.mark.parametrize(
    ("enforce", "accepted"),
    [("observe", True), ("stop", True), ("penalty", True), ("recover", True), ("rollback", False), ("project", False)],
)
def test_a_state_above_the_cap_is_accepted_where_the_cap_is_not_held(enforce: str, accepted: bool) -> None:
    monitor, reading = read(5.0, enforce=enforce)
    assert monitor.accepts(reading) is accepted
    assert monitor.accepts(read(1.0, enforce=enforce)[1])
    assert not monitor.accepts(read(math.inf, enforce=enforce)[1])


def test_the_cap_of_a_stage_holds_in_place_of_that_of_the_run() -> None:
    monitor, reading = read(0.5)
    assert (reading.cap, reading.left) == (1.0, 0.5)
    held = monitor.read(7, ["a", "b"], 0.4)
    assert (held.cap, held.within, held.left) == (0.4, False, 0.0)
    assert monitor.read(7, ["a", "b"], 0.5).within


def spread(sums: Sequence[float], groups: int = 1, **config: object) -> Reading:
    """A reading of texts of one token each, the same in every group."""

    def measure(names: Sequence[str]) -> Measurement:
        found = tuple(Group(tuple(sums), (1,) * len(sums)) for _ in range(groups))
        return Measurement(found, found, found, found, found, found)

    return Monitor(BudgetConfig.model_validate({"kl": 1.0} | config), measure).read(0, ["a"])


def test_the_upper_end_of_the_interval_is_held_against_the_cap() -> None:
    # three texts of 0.5, 0.8, 1.1: mean 0.8, variance 0.09, standard error 0.3 / sqrt 3 = 0.17321;
    # t with 2 degrees at 0.95 is 2.91999, so that the upper end is 0.8 + 0.50576
    held = spread([0.5, 0.8, 1.1], confidence=0.95)
    assert held.upper_bound == pytest.approx(1.30576, abs=1e-4)
    assert not held.within
    assert held.left == 0
    alone = spread([0.5, 0.8, 1.1])
    assert alone.upper_bound == alone.kl.value == pytest.approx(0.8)
    assert alone.within
    assert alone.left == pytest.approx(0.2)


def test_pooled_groups_count_with_the_degrees_of_one() -> None:
    # two groups of the same three texts: the standard error is smaller by sqrt 2, and t has the 2 degrees of a group
    held = spread([0.5, 0.8, 1.1], groups=2, confidence=0.95)
    assert held.upper_bound == pytest.approx(0.8 + 0.50576 / math.sqrt(2), abs=1e-4)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    # of normal texts, 8 a reading; a binomial share of 4000 has a standard error of 0.0034
    rng = random.Random(0)
    held = [spread([rng.gauss(0.5, 0.1) for _ in range(8)], confidence=0.95).upper_bound >= 0.5 for _ in range(4000)]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.012)


def test_the_base_is_within_at_any_confidence() -> None:
    base = spread([0.0, 0.0], confidence=0.999)
    assert (base.upper_bound, base.within, base.left) == (0.0, True, 1.0)


@pytest.mark.parametrize("kl", [math.nan, math.inf])
def test_no_interval_of_what_is_no_number(kl: float) -> None:
    reading = spread([kl, kl], confidence=0.9)
    assert not reading.within
    assert reading.left == 0


def test_a_figure_whose_error_overflows_is_not_within() -> None:
    assert not spread([1e-3, 1e300], kl=1e305, confidence=0.9).within
    assert spread([1e-3, 1e300], kl=1e305).within


def test_a_single_text_has_no_interval() -> None:
    with pytest.raises(ConfigError, match=r"budget\.confidence needs the standard error"):
        spread([0.5], confidence=0.9)


@given(st.lists(st.floats(0, 1e100), min_size=2, max_size=6), st.floats(0.51, 0.999))
def test_with_a_confidence_the_budget_is_never_looser(sums: list[float], confidence: float) -> None:
    held, alone = spread(sums, confidence=confidence), spread(sums)
    assert held.upper_bound >= alone.upper_bound
    assert held.left <= alone.left
    assert alone.within or not held.within


def test_the_unit_decides_what_the_cap_counts() -> None:
    # 1.5 nats a text of two tokens: 0.75 a token
    assert not read(1.5)[1].within
    assert read(1.5, unit="token")[1].within


def beside(tasks: float, generic: float, **config: object) -> Reading:
    """A reading at one KL on the tasks and another on the generic probe: two texts of two tokens each, a sequence."""

    def measure(names: Sequence[str]) -> Measurement:
        kl = generic if names == [GENERIC] else tasks
        groups = (Group((kl, kl), (2, 2)),)
        return Measurement(groups, groups, groups, groups, groups, groups)

    budget = BudgetConfig.model_validate({"kl": 1.0, "unit": "sequence"} | config)
    return Monitor(budget, measure, probe=True).read(0, ["a"])


def test_the_generic_probe_is_read_beside_and_does_not_count() -> None:
    reading = beside(0.5, 9.0)
    assert (reading.kl.value, reading.upper_bound, reading.within, reading.on_generic) == (0.5, 0.5, True, False)
    assert reading.kl_generic == Estimate(9.0, 0.0, 2)
    assert reading.kl_generic_per_token == Estimate(4.5, 0.0, 2)
    assert read(0.5)[1].kl_generic is None


@pytest.mark.parametrize(
    ("tasks", "generic", "kl", "within"),
    [
        (0.5, 0.8, 0.8, True),
        (0.5, 1.1, 1.1, False),
        (1.1, 0.5, 1.1, False),
        (0.5, 0.5, 0.5, True),
        (0.5, math.nan, math.nan, False),
        (math.nan, 0.5, math.nan, False),
        (math.inf, math.nan, math.nan, False),
    ],
)
def test_of_both_the_larger_counts(tasks: float, generic: float, kl: float, within: bool) -> None:
    reading = beside(tasks, generic, prompts="both")
    assert reading.kl.value == pytest.approx(kl, nan_ok=True)
    assert reading.within is within
    assert reading.kl_per_sequence.value == pytest.approx(tasks, nan_ok=True)
    assert reading.in_unit("token").value == pytest.approx(kl / 2, nan_ok=True)


def test_the_larger_bound_counts_and_not_the_larger_kl() -> None:
    # three texts of 0.8 a task, sure; on the probe 0.5, 0.8 and 0.8: mean 0.7, standard error 0.1, t 2.91999
    def measure(names: Sequence[str]) -> Measurement:
        groups = (Group((0.5, 0.8, 0.8) if names == [GENERIC] else (0.8, 0.8, 0.8), (1, 1, 1)),)
        return Measurement(groups, groups, groups, groups, groups, groups)

    config = BudgetConfig(kl=1.0, prompts="both", confidence=0.95)
    reading = Monitor(config, measure).read(0, ["a"])
    assert reading.on_generic
    assert reading.kl.value == pytest.approx(0.7)
    assert reading.upper_bound == pytest.approx(0.7 + 0.291999, abs=1e-5)


def test_a_probe_that_is_counted_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="`prompts: both` counts the generic probe"):
        BudgetConfig(kl=1.0, prompts="both", probe=False)


def test_readings_are_due_every_so_many_steps() -> None:
    monitor, _ = read(0.0, every=20)
    assert [step for step in range(1, 61) if monitor.due(step)] == [20, 40, 60]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_is_left_is_a_share(kl: float) -> None:
    _, reading = read(abs(kl))
    assert 0 <= reading.left <= 1
    assert reading.within == (abs(kl) <= 1)
