"""What a stage takes at least: floors of targets, in the budget's measure, against what is left."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.config import BudgetConfig
from perdure.budget.law.floor import kl_floor_items
from perdure.budget.price import does_not_fit, fits, floor_interval, in_unit, lefts, needs, target_floor

MASS = st.floats(0.0, 1.0)
TARGET = st.floats(0.01, 0.99)


def budget(**fields: object) -> BudgetConfig:
    return BudgetConfig.model_validate({"kl": 1.0} | fields)


@pytest.mark.parametrize(
    ("rate", "target", "floor"),
    [
        # 0.8 ln(0.8/0.98) + 0.2 ln(0.2/0.02) = 0.8 * -0.20294 + 0.2 * 2.30259 = -0.16235 + 0.46052
        (0.80, 0.98, 0.29817),
        # 0.88 ln(0.88/0.98) + 0.12 ln(0.12/0.02) = 0.88 * -0.10763 + 0.12 * 1.79176 = -0.09472 + 0.21501
        (0.88, 0.98, 0.12030),
        # nothing right: -ln(1 - 0.9) = ln 10
        (0.0, 0.9, 2.30259),
        (0.9, 0.9, 0.0),
        (0.95, 0.9, 0.0),
        (1.0, 0.9, 0.0),
    ],
)
def test_floors_by_hand(rate: float, target: float, floor: float) -> None:
    assert target_floor(rate, target) == pytest.approx(floor, abs=1e-5)


@given(MASS, MASS, TARGET)
def test_a_better_base_never_costs_more(one: float, other: float, target: float) -> None:
    low, high = sorted((one, other))
    cheap, dear = floor_interval(low, high, target)
    assert 0 <= cheap <= dear + 1e-12
    assert math.isfinite(dear)


@given(st.lists(st.tuples(MASS, TARGET), min_size=1, max_size=8))
def test_the_pooled_floor_never_exceeds_that_of_the_items(pairs: list[tuple[float, float]]) -> None:
    base, policy = (np.array(part) for part in zip(*pairs, strict=True))
    assert target_floor(float(base.mean()), float(policy.mean())) <= kl_floor_items(base, policy) + 1e-9


def test_a_token_is_a_part_of_an_answer() -> None:
    assert in_unit(0.6, 4.0, "sequence") == 0.6
    assert in_unit(0.6, 4.0, "token") == pytest.approx(0.15)


def test_what_stands_at_the_end_of_a_stage() -> None:
    own = [0.9, None, 0.3]
    assert needs(own, "task") == own
    assert needs(own, "generic") == [None, None, None]
    # 0.9 / 1; (0.9 + 0) / 2; (0.9 + 0 + 0.3) / 3
    assert needs(own, "seen") == pytest.approx([0.9, 0.45, 0.4])
    assert needs([None, 0.4], "seen") == [None, pytest.approx(0.2)]


def test_what_is_left_by_hand() -> None:
    # Greedy: all of the budget, whatever was before.
    assert lefts(budget(), [0.9, 0.45, 0.4]) == [1.0, 1.0, 1.0]
    # Even over three stages, on the task's own prompts, where each begins at 0: 1/3, 1/2, 1 of it.
    assert lefts(budget(allocation="even", prompts="task"), [0.9, 0.9, 0.9]) == pytest.approx([1 / 3, 1 / 2, 1.0])
    # On the prompts seen stage 2 begins at 0.2 / 2 = 0.1 and may take half of 0.9: 0.55; stage 3 at 0.3 * 2/3 = 0.2
    # and may take all.
    assert lefts(budget(allocation="even"), [0.2, 0.3, 0.3]) == pytest.approx([1 / 3, 0.55, 1.0])
    # Half of what is left, each time: 0.5; 0.1 + 0.45.
    assert lefts(budget(allocation="remaining", fraction=0.5), [0.2, 0.3]) == pytest.approx([0.5, 0.55])
    # More was needed before than there is: nothing is left, and the cap is that of the life.
    assert lefts(budget(), [5.0, 4.0]) == [1.0, 1.0]


@given(st.lists(st.none() | st.floats(0, 5), min_size=1, max_size=6), st.sampled_from(["seen", "task", "generic"]))
def test_no_stage_is_left_more_than_the_budget(own: list[float | None], prompts: str) -> None:
    for allocation in ("greedy", "even", "remaining", "floor"):
        config = budget(prompts=prompts, generic="g" if prompts == "generic" else None, allocation=allocation)
        needed = needs(own, config.prompts)
        left = lefts(config, needed)
        assert len(left) == len(needed) == len(own)
        assert all(0 <= one <= config.kl for one in left)


def test_what_does_not_fit_is_said() -> None:
    assert does_not_fit(3, 0.29817, 0.1) == "stage 3 needs at least 0.298 nats, 0.100 are left"
    assert not fits(0.298, 0.1)
    assert fits(0.1, 0.1) and fits(None, 0.1) and fits(0.1 * (1 + 1e-12), 0.1)
