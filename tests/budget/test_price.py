"""What a stage takes at least: floors of targets, in the budget's measure, against what is left."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.config import BudgetConfig
from perdure.budget.law.floor import kl_floor_items
from perdure.budget.price import (
    added_kls,
    does_not_fit,
    fits,
    floor_interval,
    in_unit,
    required_kls,
    stage_caps,
    target_floor,
)

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
    assert required_kls(own, "task") == own
    assert required_kls(own, "generic") == [None, None, None]
    # 0.9 / 1; (0.9 + 0) / 2; (0.9 + 0 + 0.3) / 3
    assert required_kls(own, "seen") == pytest.approx([0.9, 0.45, 0.4])
    assert required_kls([None, 0.4], "seen") == [None, pytest.approx(0.2)]


def test_what_is_left_by_hand() -> None:
    # Greedy: all of the budget, whatever was before.
    floors = [9.0, 9.0, 9.0]
    assert stage_caps(budget(), [0.9, 0.45, 0.4], floors) == [1.0, 1.0, 1.0]
    # Even over three stages, on the task's own prompts, where each begins at 0: 1/3, 1/2, 1 of it.
    even = budget(allocation="even", prompts="task")
    assert stage_caps(even, [0.9, 0.9, 0.9], floors) == pytest.approx([1 / 3, 1 / 2, 1.0])
    # On the prompts seen stage 2 begins at 0.2 / 2 = 0.1 and may take half of 0.9: 0.55; stage 3 at 0.3 * 2/3 = 0.2
    # and may take all.
    assert stage_caps(budget(allocation="even"), [0.2, 0.3, 0.3], floors) == pytest.approx([1 / 3, 0.55, 1.0])
    # Half of what is left, each time: 0.5; 0.1 + 0.45.
    assert stage_caps(budget(allocation="remaining", fraction=0.5), [0.2, 0.3], floors[:2]) == pytest.approx(
        [0.5, 0.55]
    )
    # More was needed before than there is: nothing is left, and the cap is that of the run.
    assert stage_caps(budget(), [5.0, 4.0], floors[:2]) == [1.0, 1.0]


def test_what_a_stage_adds_by_hand() -> None:
    # On the prompts seen 0.9, 0 and 0.3 of their own stand as 0.9, 0.45 and 0.4: a half of 0.9 is there when the second
    # stage begins, two thirds of 0.45 when the third does.
    assert added_kls([0.9, 0.45, 0.4], [0.9, 0.0, 0.3], "seen") == pytest.approx([0.9, 0.0, 0.1])
    # On the task's own prompts nothing is.
    assert added_kls([0.9, 0.45, 0.4], [0.9, 0.45, 0.4], "task") == [0.9, 0.45, 0.4]
    # A floor that the budget counts nothing of cannot be told, and nor can a stage without one.
    assert added_kls([0.9, 0.45], [0.9, 0.7], "seen") == [0.9, None]
    assert added_kls([0.9, 0.45], [0.9, None], "seen") == [0.9, None]
    assert added_kls([None, 0.2], [0.7, 0.4], "seen") == [None, 0.2]
    assert added_kls([None, None], [0.7, 0.4], "generic") == [None, None]


OWN = st.lists(st.none() | st.just(0.0) | st.floats(1e-3, 5), min_size=1, max_size=8)


@given(OWN)
def test_what_a_stage_adds_is_its_own_part_of_the_mean(own: list[float | None]) -> None:
    floors = [3.0 if one is None else 2 * one for one in own]
    found = added_kls(required_kls(own, "seen"), floors, "seen")
    assert found == [None if one is None else pytest.approx(one / stage) for stage, one in enumerate(own, 1)]
    assert added_kls(required_kls(own, "task"), floors, "task") == own


def test_a_task_that_is_known_is_given_nothing() -> None:
    # 0.45 to 0.9: 0.45 ln(1/2) + 0.55 ln(5.5) = -0.31192 + 0.93761 = 0.62570, and 0.95 is above 0.9 already. What
    # stands on the prompts seen: 0.62570, a half of it, two thirds of it.
    own = [target_floor(rate, 0.9) for rate in (0.45, 0.95, 0.45)]
    assert own == pytest.approx([0.62570, 0.0, 0.62570], abs=1e-5)
    needed = required_kls(own, "seen")
    assert needed == pytest.approx([0.62570, 0.31285, 0.41713], abs=1e-5)
    # All of it is below 1, so that each fits where each may take all that is left.
    assert stage_caps(budget(), needed, own) == [1.0, 1.0, 1.0]
    # The stages add 1, 0 and 1/3 of 0.62570. Stage 1 may take 1/(1 + 1/3) of 1; stage 2 is entered with 0.31285 and may
    # take none of the rest: it ends as it began; stage 3 may take all. By the needs themselves, which are 1, 1/2 and
    # 2/3 of 0.62570, stage 1 would have had 6/13 = 0.462 and been refused, and stage 2 3/7 of the rest for nothing.
    left = stage_caps(budget(allocation="floor"), needed, own)
    assert left == pytest.approx([0.75, 0.31285, 1.0], abs=1e-5)
    assert all(fits(need, most) for need, most in zip(needed, left, strict=True))


def test_floor_does_not_count_on_dilution() -> None:
    # Three alike, each adding 0.9, 0.45 and 0.3: 1.65 in all. Every need is 0.9, but the first may have 0.9/1.65 alone;
    # the second is entered with 0.45 and may take 0.45/0.75 of 0.55.
    own = [0.9, 0.9, 0.9]
    left = stage_caps(budget(allocation="floor"), required_kls(own, "seen"), own)
    assert left == pytest.approx([0.9 / 1.65, 0.45 + 0.33, 1.0])


@given(st.lists(st.just(0.0) | st.floats(1e-3, 1), min_size=1, max_size=6))
def test_under_floor_all_fit_where_all_that_is_added_does(own: list[float]) -> None:
    needed = required_kls(own, "seen")
    whole = sum(one / stage for stage, one in enumerate(own, 1))
    left = stage_caps(budget(allocation="floor"), needed, own)
    fit = all(fits(need, most) for need, most in zip(needed, left, strict=True))
    assert fit == (whole <= 1) or whole == pytest.approx(1)


@given(st.lists(st.none() | st.floats(0, 5), min_size=1, max_size=6), st.sampled_from(["seen", "task", "generic"]))
def test_no_stage_is_left_more_than_the_budget(own: list[float | None], prompts: str) -> None:
    for allocation in ("greedy", "even", "remaining", "floor"):
        config = budget(prompts=prompts, generic="g" if prompts == "generic" else None, allocation=allocation)
        needed = required_kls(own, config.prompts)
        left = stage_caps(config, needed, own)
        assert len(left) == len(needed) == len(own)
        assert all(0 <= one <= config.kl for one in left)


def test_what_does_not_fit_is_said() -> None:
    assert does_not_fit(3, 0.29817, 0.1) == "stage 3 needs at least 0.298 nats, 0.100 remain"
    assert not fits(0.298, 0.1)
    assert fits(0.1, 0.1) and fits(None, 0.1) and fits(0.1 * (1 + 1e-12), 0.1)
