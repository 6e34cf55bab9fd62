"""What becomes of a stage that ends above its cap, by hand in the world of one number."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.enforcement.projection import MOST_READINGS
from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import read_json
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import StageState
from tests.agent.scalar_run import (
    Always,
    Killed,
    Onlooker,
    curriculum,
    outcome,
    record_of,
    row_of,
    run_through,
    scalar_run,
)
from tests.plugin.perdure_scalar.world import ScalarWorld


def interventions(row: StageState) -> list[str]:
    return [event.action for event in row.interventions]


def test_project_goes_to_the_last_point_below_the_cap(tmp_path: Path) -> None:
    # six steps of 0.1; readings at 2 (0.04), 4 (0.16), 6 (0.36): the cap of 0.25 lies at weight 0.5, half way on the
    # line from 0.4 to 0.6; 0.5 ** 2 may round to just above the cap, and then the point before it is found
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce="project", kl=0.25)), 1)
    assert interventions(row) == ["project"]
    event = row.interventions[0]
    assert (event.kl_within, event.kl_beyond) == pytest.approx((0.16, 0.36))
    assert 0.99 * 0.25 <= event.kl <= 0.25
    assert event.share == pytest.approx(0.5, abs=0.02)
    assert event.readings <= MOST_READINGS
    assert event.target.endswith("of the way from step 4 to where it ended")
    last = row.readings[-1]
    assert (last.final, last.within, last.kl_per_token.value) == (True, True, event.kl)
    # the update itself was not ended by its readings above the cap
    assert row.steps == 6


def test_project_keeps_more_than_rollback_and_never_more_than_the_cap(tmp_path: Path) -> None:
    kept = {
        enforce: row_of(run_through(tmp_path / enforce, curriculum(1, enforce=enforce, kl=0.3)), 1).readings[-1]
        for enforce in ("rollback", "project")
    }
    assert kept["rollback"].kl_per_token.value < kept["project"].kl_per_token.value <= 0.3


def test_both_ends_of_the_line_are_scored(tmp_path: Path) -> None:
    # the task's answer is 0.6, which the update reached and the cap does not allow
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce="project", kl=0.25)), 1)
    assert row.ends["within"]["task0"].value == 0
    assert row.ends["beyond"]["task0"].value == 1
    assert row.scores["task0"].value == 0


def test_project_without_a_good_reading_starts_from_the_stage_before(tmp_path: Path) -> None:
    # a reading every six steps: the first stage ends at 0.6 (0.36), the second at 1.2 (1.44) without one within
    config = curriculum(2, enforce="project", kl=0.5, every=6)
    row = row_of(run_through(tmp_path / "run", config), 2)
    assert "from the end of stage 1" in row.interventions[0].target
    assert row.interventions[0].kl_within == pytest.approx(0.36)
    assert 0.99 * 0.5 <= row.readings[-1].kl_per_token.value <= 0.5


def test_a_stage_that_ends_within_is_left_alone(tmp_path: Path) -> None:
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce=["recover", "project"], kl=1.0)), 1)
    assert row.interventions == ()
    assert row.ends == {}
    assert row.readings[-1].kl_per_token.value == pytest.approx(0.36)


def test_recover_stops_as_soon_as_it_is_within(tmp_path: Path) -> None:
    # from 0.6, each step takes a fifth off: 0.48, 0.384 (0.147); read every 2 steps, 0.25 is passed at the second
    recover = {"learning_rate": 0.1, "every": 2, "max_steps": 50}
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce="recover", kl=0.25, recover=recover)), 1)
    assert interventions(row) == ["recover"]
    event = row.interventions[0]
    assert event.steps == 2
    assert (event.kl_before, event.kl_after) == pytest.approx((0.36, 0.384**2))
    assert (event.within, event.undone) == (True, False)
    assert row.readings[-1].kl_per_token.value == pytest.approx(0.384**2)


def test_what_recover_leaves_above_the_cap_is_projected(tmp_path: Path) -> None:
    # one step takes it to 0.48 (0.2304), still above 0.2; the line is from 0.4 (0.16) to 0.48
    recover = {"learning_rate": 0.1, "max_steps": 1, "every": 1}
    config = curriculum(1, enforce=["project", "recover"], kl=0.2, recover=recover)
    row = row_of(run_through(tmp_path / "run", config), 1)
    assert interventions(row) == ["recover", "project"]
    assert row.interventions[1].kl_beyond == pytest.approx(0.48**2)
    assert 0.99 * 0.2 <= row.readings[-1].kl_per_token.value <= 0.2


def test_what_recover_leaves_above_the_cap_stays_without_a_remedy(tmp_path: Path) -> None:
    recover = {"learning_rate": 0.1, "max_steps": 1, "every": 1}
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce="recover", kl=0.2, recover=recover)), 1)
    assert row.readings[-1].kl_per_token.value == pytest.approx(0.48**2)
    assert not row.readings[-1].within
    assert (row.interventions[0].within, row.interventions[0].undone) == (False, False)


def test_what_recover_brings_below_the_cap_by_the_kl_alone_has_not_come_back(tmp_path: Path) -> None:
    # a step takes it to 0.48 (0.2304 but for the noise), below 0.25; three texts have an error, and the bound is above
    recover = {"learning_rate": 0.1, "max_steps": 1, "every": 1}
    config = curriculum(1, enforce="recover", kl=0.25, recover=recover, confidence=0.95)
    run_curriculum(scalar_run(tmp_path / "run", config, ScalarWorld(noise=0.1)))
    row = row_of(record_of(tmp_path / "run"), 1)
    (event,), last = row.interventions, row.readings[-1]
    assert event.kl_after <= 0.25 < last.upper_bound
    assert (event.within, event.undone) == (last.within, False) == (False, False)


@pytest.mark.parametrize("rate", [1.5, 1e200])
def test_a_recovery_that_goes_away_is_undone(tmp_path: Path, rate: float) -> None:
    # at a rate of 1.5 a step multiplies the weight by -2
    recover = {"learning_rate": rate, "max_steps": 9, "every": 1}
    row = row_of(run_through(tmp_path / "run", curriculum(1, enforce="recover", kl=0.2, recover=recover)), 1)
    assert "undone" in row.interventions[0].target
    assert (row.interventions[0].within, row.interventions[0].undone) == (False, True)
    assert row.readings[-1].kl_per_token.value == pytest.approx(0.36)


def test_recover_goes_at_the_rate_of_the_stage_where_it_has_none(tmp_path: Path) -> None:
    # the stage's 0.1 takes 0.6 to 0.48 in a step
    config = curriculum(1, enforce="recover", kl=0.25, recover={"every": 1})
    row = row_of(run_through(tmp_path / "run", config), 1)
    assert (row.interventions[0].steps, row.interventions[0].kl_after) == (1, pytest.approx(0.48**2))


@pytest.mark.parametrize("enforce", ["project", "recover", ["penalty", "project"], ["recover", "project"]])
def test_weights_that_are_no_numbers_go_back(tmp_path: Path, enforce: Any) -> None:
    world = ScalarWorld()

    def poison(step: int) -> None:
        if step == 5:
            world.policy.weight = math.inf

    world.on_step = poison
    run_curriculum(scalar_run(tmp_path / "run", curriculum(1, enforce=enforce), world))
    row = row_of(record_of(tmp_path / "run"), 1)
    assert (interventions(row), row.interventions[0].target) == (["broken"], "step 4")
    # a penalty of 0.1 holds the weight a little below 0.4
    assert row.readings[-1].kl_per_token.value == pytest.approx(0.16, rel=0.2)


def test_the_penalty_holds_the_kl_and_its_weight_goes_on_to_the_next_stage(tmp_path: Path) -> None:
    train = {"max_steps": 200}
    config = curriculum(2, enforce=["penalty", "project"], kl=0.25, train=train, penalty={"weight": 0.5, "rate": 0.05})
    record = run_through(tmp_path / "run", config)
    # at rest 0.1 up and 0.1 · weight · 2w down: w² = 0.2, a weight of 1 / (2 · 0.447) = 1.118
    ends = [row_of(record, stage).readings[-1] for stage in (1, 2)]
    assert [end.kl_per_token.value for end in ends] == pytest.approx([0.2, 0.2], rel=0.05)
    assert [end.penalty_weight for end in ends] == pytest.approx([1.118, 1.118], rel=0.05)
    kept = [read_json(path / "stage.json")["penalty_weight"] for path in sorted((tmp_path / "run/stages").iterdir())]
    assert kept == [end.penalty_weight for end in ends]
    # the second stage begins with what the first left, not with 0.5
    first = row_of(record, 2).readings[1]
    assert (first.step, first.penalty_weight) == (2, pytest.approx(1.118, rel=0.05))


def test_a_stage_that_never_ran_keeps_the_weight_of_the_one_before(tmp_path: Path) -> None:
    # `stop` ends the first stage above its cap, so that the second is not begun
    config = curriculum(2, enforce=["penalty", "stop"], kl=0.05, penalty={"weight": 0.3})
    record = run_through(tmp_path / "run", config)
    assert row_of(record, 2).steps == 0
    kept = [read_json(path / "stage.json")["penalty_weight"] for path in sorted((tmp_path / "run/stages").iterdir())]
    assert kept[1] == kept[0] != 0.3


@pytest.mark.parametrize(
    ("allocation", "caps"),
    [
        # cap 1 over two stages; the first stage ends at the cap that it has, where project leaves it
        ("even", (0.5, 1.0)),
        ("greedy", (1.0, 1.0)),
    ],
)
def test_a_stage_is_held_to_its_part(tmp_path: Path, allocation: str, caps: tuple[float, float]) -> None:
    config = curriculum(2, rate=0.3, enforce="project", allocation=allocation)
    record = run_through(tmp_path / "run", config)
    rows = [row_of(record, stage) for stage in (1, 2)]
    assert tuple(row.readings[-1].cap for row in rows) == pytest.approx(caps)
    assert all(row.readings[-1].within for row in rows)
    # a stage is entered with the cap of the run
    assert [row.readings[0].cap for row in rows] == [1.0, 1.0]


def test_the_share_of_the_strategy_overrules_the_allocation(tmp_path: Path) -> None:
    config = curriculum(2, rate=0.3, enforce="project").model_copy()
    run_curriculum(scalar_run(tmp_path / "run", config, ScalarWorld(), strategy=Always(share=0.25)))
    rows = record_of(tmp_path / "run").rows[1:]
    spent = rows[1].readings[0].kl_per_token.value
    assert [row.readings[-1].cap for row in rows] == pytest.approx([0.25, spent + 0.25 * (1 - spent)])


@pytest.mark.parametrize("enforce", ["project", ["recover", "project"], ["penalty", "project"]])
def test_nothing_is_left_in_a_committed_stage_but_its_policy(tmp_path: Path, enforce: Any) -> None:
    run_through(tmp_path / "run", curriculum(1, rate=0.4, enforce=enforce, kl=0.2, recover={"max_steps": 1}))
    assert sorted(path.name for path in (tmp_path / "run/stages/01-task0").iterdir()) == [
        "policy",
        "stage.json",
        "steps.parquet",
    ]


@pytest.mark.parametrize(
    "enforce", ["project", ["penalty", "project"], ["recover", "project"], ["recover", "rollback"]]
)
def test_killed_after_any_event_it_comes_to_the_same(tmp_path: Path, enforce: Any) -> None:
    config = curriculum(2, rate=0.3, enforce=enforce, kl=0.5, recover={"max_steps": 2, "every": 1})
    undisturbed = run_through(tmp_path / "whole", config)
    assert any(row.interventions for row in undisturbed.rows)
    for cut in range(2, len(list(read_journal(tmp_path / "whole" / "journal.jsonl")))):
        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, config, ScalarWorld(), Onlooker(cry_at=cut)))
        assert outcome(run_through(path, config)) == outcome(undisturbed), f"killed after event {cut}"


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_at_any_measurement_it_comes_to_the_same(tmp_path: Path, at: int) -> None:
    config = curriculum(1, rate=0.3, enforce=["recover", "project"], kl=0.5, recover={"max_steps": 2, "every": 1})
    whole = tmp_path / "whole"
    run_curriculum(scalar_run(whole, config, ScalarWorld()))
    world = ScalarWorld()
    measure: Callable[[Any], Any] = world.measure

    def cry(names: Any) -> Any:
        if world.measured == at:
            raise Killed
        return measure(names)

    world.measure = cry  # type: ignore[method-assign]
    life = scalar_run(tmp_path / "cut", config, world)
    try:
        run_curriculum(life)
    except Killed:
        run_curriculum(scalar_run(tmp_path / "cut", config, ScalarWorld()))
    assert outcome(record_of(tmp_path / "cut")) == outcome(record_of(whole))
