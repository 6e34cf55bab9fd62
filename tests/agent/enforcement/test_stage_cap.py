"""What a stage of a run may take, from its journal's prices and the reading that it is entered with."""

import pytest

from perdure.agent.enforcement.stage_cap import cap_for
from perdure.agent.run.state import RunState
from perdure.budget.estimate import Estimate
from perdure.budget.monitor import Reading
from perdure.budget.price import StagePrice
from tests.agent.scalar_run import curriculum


def entered(kl: float, bound: float) -> Reading:
    one = Estimate(kl, 0.0, 2)
    return Reading(0, one, one, one, one, one, 1.0, "token", bound)


def priced(*needs: float | None, floors: tuple[float, ...] = (0.9, 0.9, 0.9)) -> RunState:
    rate, told = Estimate(0.1, None, 8), zip(floors, needs, strict=True)
    return RunState(
        prices=tuple(
            StagePrice(stage, f"task{stage}", rate, 0.9, floor, None, need, 1.0)
            for stage, (floor, need) in enumerate(told, 1)
        )
    )


def test_what_is_spent_is_what_the_budget_holds() -> None:
    # the upper end of 0.4 and not the KL of 0.2: of the 0.6 left, half for each of two stages
    config = curriculum(2, allocation="even")
    assert cap_for(config, RunState(), 1, entered(0.2, 0.4)) == pytest.approx(0.7)


def test_floors_are_the_needs_that_were_told() -> None:
    config = curriculum(3, allocation="floor", target_accuracy=0.9, prompts="task")
    entry = entered(0.1, 0.1)
    # 0.9 left; stage 2 needs 0.3 of the 0.3 + 0.15 still to come
    assert cap_for(config, priced(0.2, 0.3, 0.15), 2, entry) == pytest.approx(0.1 + 0.9 * 2 / 3)
    # where one cannot be told it is even: half
    assert cap_for(config, priced(0.2, None, 0.15), 2, entry) == pytest.approx(0.55)
    assert cap_for(config, RunState(), 2, entry) == pytest.approx(0.55)


def test_on_the_prompts_seen_it_is_what_a_stage_adds() -> None:
    config = curriculum(3, allocation="floor", target_accuracy=0.9)
    # 0.6, 0 and 0.6 of their own stand as 0.6, 0.3 and 0.4: 0.6, 0 and 0.2 are added, so 3/4, 0 and 1 of what is left
    record = priced(0.6, 0.3, 0.4, floors=(0.6, 0.0, 0.6))
    assert cap_for(config, record, 1, entered(0.0, 0.0)) == pytest.approx(0.75)
    assert cap_for(config, record, 2, entered(0.35, 0.35)) == pytest.approx(0.35)
    assert cap_for(config, record, 3, entered(0.25, 0.25)) == pytest.approx(1.0)
    # a floor that the budget counts nothing of: even, of two stages half of 0.6
    assert cap_for(config, priced(0.6, 0.3, 0.4), 2, entered(0.4, 0.4)) == pytest.approx(0.7)


def test_the_share_of_a_strategy_comes_first() -> None:
    config = curriculum(2, allocation="even")
    assert cap_for(config, RunState(), 1, entered(0.2, 0.2), 0.25) == pytest.approx(0.4)
