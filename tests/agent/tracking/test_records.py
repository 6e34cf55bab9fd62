"""Events and steps as records: where they stand on the axis of steps, and what their figures are called."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agent.run.event import Event
from perdure.agent.run.events import Committed, Decided, Finished, Intervened, Measured, Redone, Scored, Started
from perdure.agent.run.state import RunState, fold
from perdure.agent.run.steps import Step
from perdure.agent.tracking.contract import Record
from perdure.agent.tracking.records import of_event, of_step, retention_table
from perdure.budget.estimate import Estimate
from perdure.eval.scorefile import Asked


def started(world: str = "language") -> Started:
    return Started(
        schema=2, run="r", tasks=("a", "b"), benchmarks=("c",), curriculum={}, versions={}, resolved={}, world=world,
        base_id="", base_sha256="", data={},
    )  # fmt: skip


def reading(stage: int, step: int, kl: float = 0.2, **more: Any) -> Measured:
    token, other = Estimate(kl, 0.01, 9), Estimate(0.0, None, 9)
    fields = {"entry": False, "final": False, "cap": 0.5, "unit": "token", "upper_bound": kl, **more}
    return Measured(
        stage=stage, step=step, kl_per_token=token, kl_per_sequence=Estimate(4 * kl, None, 9),
        kl_policy_to_base_per_token=other, total_variation_per_token=other, l2_distributions_per_token=other, **fields,
    )  # fmt: skip


def decided(stage: int) -> Decided:
    return Decided(
        stage=stage, name="ab"[stage - 1], method="sft", reason="it is fixed", evidence={}, candidates=(), share=None,
        cap=0.5, steps_spent=0,
    )  # fmt: skip


def committed(stage: int, steps: int) -> Committed:
    return Committed(stage=stage, name="ab"[stage - 1], method="sft", steps=steps, seconds=3.0, weights_sha256="0")


def scored(stage: int, name: str, value: float) -> Scored:
    return Scored(stage=stage, name=name, value=value, stderr=0.1, n=4, kind="task", file="f")


def records(*events: Event) -> list[Record | None]:
    state, found = RunState(), []
    for index, event in enumerate(events):
        state = fold(state, event)
        found.append(of_event(event, index, state))
    return found


def test_a_step_stands_behind_all_steps_of_the_stages_before() -> None:
    """Stage 1 has made 6 steps: step 2 of stage 2 is the run's 8th, and what ends stage 2 stands there."""
    run = [started(), decided(1), reading(1, 6), committed(1, 6), decided(2), reading(2, 2), scored(2, "a", 0.5)]
    steps = [None if one is None else one.step for one in records(*run)]
    assert steps == [None, 0, 6, 6, 6, 8, 8]


def test_a_reading_has_both_units_by_the_names_of_its_world() -> None:
    for world, names in (("language", ("token", "sequence")), ("control", ("decision", "episode"))):
        record = records(started(world), reading(1, 3, penalty_weight=0.3))[1]
        assert record is not None
        assert record.metrics == {
            f"kl/per_{names[0]}": 0.2,
            f"kl/per_{names[0]}_stderr": 0.01,
            f"kl/per_{names[1]}": 0.8,
            "kl/upper_bound": 0.2,
            "kl/cap": 0.5,
            "kl/penalty_weight": 0.3,
        }


def test_a_world_of_one_unit_sends_its_kl_once() -> None:
    record = records(started("vision"), reading(1, 3))[1]
    assert record is not None and [name for name in record.metrics if "kl/per_" in name] == [
        "kl/per_image",
        "kl/per_image_stderr",
    ]


def test_the_reading_that_ends_a_stage_is_sent_where_it_is_another_one() -> None:
    """At 6 it is the one taken there; a policy that went back to step 4 is read again, and stands at the end, 6."""
    same = records(started(), reading(1, 6), reading(1, 6, final=True))[2]
    back = records(started(), reading(1, 6), reading(1, 4, 0.1, final=True))[2]
    assert same is None
    assert back is not None
    assert (back.step, back.metrics["kl/per_token"]) == (6, 0.1)


def test_an_intervention_is_a_note_and_a_mark() -> None:
    event = Intervened(stage=1, step=4, action="rollback", reason="KL 0.6 above the cap", target="step 4")
    record = records(started(), event)[1]
    assert record is not None
    assert record.metrics == {"intervention/rollback": 1.0}
    assert record.notes == {"intervention": "stage 1, step 4: rollback, to step 4; KL 0.6 above the cap"}


def test_a_step_has_the_figures_that_its_method_has() -> None:
    record = of_step(Step(2, "b", 3, 9, 5.0, {"loss": 1.5, "reward": None}))
    assert (record.step, record.time) == (9, 5.0)
    assert record.metrics == {"train/loss": 1.5, "stage": 2.0}


def test_the_end_has_the_table_of_all_scores() -> None:
    events = [started(), scored(0, "a", 0.1), scored(0, "c", 0.9), decided(1), scored(1, "a", 0.6), Finished(seconds=7)]
    record = records(*events)[-1]
    assert record is not None
    table = record.tables["retention"]
    assert table.columns == ("after", "method", "a", "b", "c")
    assert table.rows == (("base", None, 0.1, None, 0.9), ("a", "sft", 0.6, None, None))
    assert table.markdown.splitlines()[2] == "| base |  | 0.1 |  | 0.9 |"
    assert retention_table(RunState()).rows == ()


def test_a_score_asked_in_part_has_a_name_of_its_own_and_no_place_in_the_table() -> None:
    part = replace(scored(1, "b", 0.4), asked=Asked(64, 200, -0.1, 0.1))
    found = records(started(), decided(1), scored(1, "a", 0.6), part, Finished(seconds=7))
    assert found[3] is not None and found[-1] is not None
    assert found[3].metrics == {"score_in_part/b": 0.4, "score_in_part/b_stderr": 0.1}
    assert found[-1].tables["retention"].rows == (("a", "sft", 0.6, None, None),)


@pytest.mark.parametrize("stage", [1, 2])
def test_a_stage_that_is_run_again_rewinds_to_its_first_step(stage: int) -> None:
    record = records(started(), decided(1), reading(1, 6), committed(1, 6), Redone(stage=stage))[-1]
    assert record is not None
    assert (record.rewinds, record.step) == (True, 0 if stage == 1 else 6)
