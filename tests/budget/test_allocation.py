"""What a stage may take, worked out by hand, and what holds of every allocation."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.budget.allocation import even_share, floor_share, stage_cap
from perdure.budget.config import BudgetConfig


def cap(allocation: str = "greedy", *, kl: float = 1.0, fraction: float = 0.5, **more: object) -> float:
    config = BudgetConfig.model_validate({"kl": kl, "allocation": allocation, "fraction": fraction})
    return stage_cap(config, **({"spent": 0.2, "stage": 2, "stages": 5} | more))  # type: ignore[arg-type]


def test_greedy_is_the_cap_of_the_run() -> None:
    assert cap("greedy") == 1.0


def test_even_is_the_same_part_for_this_stage_and_those_after_it() -> None:
    # 0.8 are left for stages 2 to 5: 0.2 each
    assert cap("even") == pytest.approx(0.4)
    assert cap("even", stage=5) == 1.0
    assert even_share(1, 4) == 0.25


def test_remaining_is_a_fraction_of_what_is_left() -> None:
    assert cap("remaining", fraction=0.25) == pytest.approx(0.4)
    assert cap("remaining", fraction=1.0) == 1.0


def test_floor_is_in_proportion_to_the_floors_from_here_on() -> None:
    # of 0.8 left, 0.3 of 0.3 + 0.1 + 0.0 + 0.2; what stage 1 needed counts no more
    assert cap("floor", floors=(9.0, 0.3, 0.1, 0.0, 0.2)) == pytest.approx(0.2 + 0.8 * 0.5)
    # a stage that needs nothing may take nothing
    assert cap("floor", floors=(9.0, 0.0, 0.1, 0.0, 0.2)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "floors", [(), (1.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.3, None, 0.1, 0.1), (1.0, 0.3, math.inf, 0.1, 0.1), (0.1, 0.2)]
)
def test_without_a_proportion_floor_is_even(floors: tuple[float | None, ...]) -> None:
    assert cap("floor", floors=floors) == pytest.approx(cap("even"))


def test_the_share_of_a_strategy_overrules() -> None:
    for allocation in ("greedy", "even", "remaining", "floor"):
        assert cap(allocation, share=0.75) == pytest.approx(0.8)
        assert cap(allocation, share=0.0) == 0.2
        assert cap(allocation, share=1.0) == 1.0


@pytest.mark.parametrize("spent", [1.0, 1.5, math.inf, math.nan])
def test_where_nothing_is_left_it_is_the_cap_of_the_run(spent: float) -> None:
    assert cap("even", spent=spent) == 1.0


positive = st.floats(1e-300, 1e300)


@given(
    allocation=st.sampled_from(["greedy", "even", "remaining", "floor"]),
    kl=positive,
    fraction=st.floats(1e-9, 1),
    spent=st.floats(0, 1e300),
    place=st.integers(1, 20).flatmap(lambda stages: st.tuples(st.integers(1, stages), st.just(stages))),
    share=st.none() | st.floats(-1, 2),
    floors=st.lists(st.none() | st.floats(0, 1e300), max_size=20),
)
def test_never_above_the_run_and_never_below_what_is_spent(
    allocation: str,
    kl: float,
    fraction: float,
    spent: float,
    place: tuple[int, int],
    share: float | None,
    floors: list[float | None],
) -> None:
    stage, stages = place
    found = cap(
        allocation, kl=kl, fraction=fraction, spent=spent, stage=stage, stages=stages, share=share, floors=floors
    )
    assert found <= kl
    if spent <= kl:
        assert found >= spent


@given(st.floats(0, 1), st.integers(1, 12))
def test_stages_that_take_all_they_may_end_at_the_cap(start: float, stages: int) -> None:
    spent = start
    for stage in range(1, stages + 1):
        before, spent = spent, cap("even", spent=spent, stage=stage, stages=stages)
        assert spent - before == pytest.approx((1 - start) / stages, abs=1e-9)
    assert spent == pytest.approx(1.0)


@given(st.lists(st.floats(1e-3, 10), min_size=1, max_size=8))
def test_floor_shares_give_each_its_part_of_the_whole(floors: list[float]) -> None:
    left, taken = 1.0, []
    for stage in range(len(floors)):
        share = floor_share(floors[stage:])
        assert share is not None
        taken.append(share * left)
        left -= share * left
    assert taken == pytest.approx([floor / sum(floors) for floor in floors], abs=1e-9)
