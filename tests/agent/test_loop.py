"""The loop in the smallest world: order, budget, faults, kills and resumes."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.agent.loop import run_curriculum
from perdure.agent.run.event import Event
from perdure.agent.run.events import Scored
from perdure.agent.run.journal import read_journal
from perdure.cli.views.describe import describe_unscored
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State
from perdure.cli.views.symbols import UNICODE
from perdure.eval.benchmarks import prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from perdure.eval.scorefile import read_scores
from tests.agent.scalar_run import (
    Killed,
    Onlooker,
    curriculum,
    in_memory,
    outcome,
    record_of,
    row_of,
    run_through,
    scalar_run,
    steps_of,
)
from tests.plugin.perdure_scalar.world import ScalarWorld


def test_a_run_within_its_budget(tmp_path: Path) -> None:
    record = run_through(tmp_path / "run", curriculum())
    # six steps of 0.1 a stage: weights 0.6 and 1.2, so KL 0.36 and 1.44; the second is above the cap of 1
    # and goes back to the last good reading: step 4, weight 1.0, where 1.0 ** 2 may round to just within 1
    assert record.status == "finished"
    assert [row.committed for row in record.rows] == [True] * 3
    assert row_of(record, 0).readings[-1].kl_per_token.value == 0
    assert row_of(record, 1).readings[-1].kl_per_token.value == pytest.approx(0.36)
    last = row_of(record, 2).readings[-1]
    assert last.within and last.final
    assert row_of(record, 2).interventions[0].action == "rollback"
    # task0's answer is "0.6": the base scores 0 on it, stage 1 scores 1
    assert row_of(record, 0).scores["task0"].value == 0
    assert row_of(record, 1).scores["task0"].value == 1


def test_answers_without_a_verdict_are_journaled_once(tmp_path: Path) -> None:
    life = scalar_run(tmp_path / "run", curriculum(), ScalarWorld())
    reward = Counting()
    life.tasks = tuple(replace(task, reward=reward) for task in life.tasks[:1]) + life.tasks[1:]
    life.scorecard = Scorecard(life.tasks, prepare_benchmarks([]), life.curriculum.evaluation, tmp_path / "run")
    reward.unscored.update({"too slow": 2, "crashed": 1})
    run_curriculum(life)
    (event,) = [event for row in record_of(tmp_path / "run").rows for event in row.unscored]
    assert (event.stage, event.task, event.phase) == (0, "task0", "scoring")
    words = "3 answers to 'task0' counted 0 when it was scored: 1 crashed, 2 too slow"
    assert describe_unscored(event) == words
    lines = run_report(State(record=record_of(tmp_path / "run")), {}, UNICODE, 200)
    assert any(words in line.plain for line in lines)


class Counting:
    """A reward that counts answers without a verdict."""

    def __init__(self) -> None:
        self.unscored: Counter[str] = Counter()

    def __call__(self, items: Any, completions: Any, completion_ids: Any = None) -> list[float | None]:
        return [1.0] * len(items)


def test_observe_and_stop_keep_what_they_reach(tmp_path: Path) -> None:
    observed = run_through(tmp_path / "observe", curriculum(enforce="observe", kl=0.1))
    assert row_of(observed, 1).steps == 6
    assert not row_of(observed, 1).interventions
    stopped = run_through(tmp_path / "stop", curriculum(enforce="stop", kl=0.1))
    # readings at steps 2 (0.04) and 4 (0.16): ends at 4, and stage 2 has nothing left to begin with
    assert row_of(stopped, 1).steps == 4
    assert row_of(stopped, 2).steps == 0
    assert "no budget left" in row_of(stopped, 2).interventions[0].reason


@pytest.mark.parametrize("enforce", ["observe", "stop", "rollback"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_loss_goes_back_and_the_run_goes_on(tmp_path: Path, enforce: str, bad: float) -> None:
    record = run_through(tmp_path / "run", curriculum(enforce=enforce), lambda step: bad if step == 5 else None)
    # broken at step 5, last good reading at step 4: weight 0.4
    assert row_of(record, 1).interventions[0].action == "broken"
    assert row_of(record, 1).interventions[0].target == "step 4"
    assert row_of(record, 1).readings[-1].kl_per_token.value == pytest.approx(0.16)
    assert record.status == "finished"


def test_weights_that_turn_nan_end_at_the_base(tmp_path: Path) -> None:
    config = curriculum(1)
    world = ScalarWorld()

    def poison(step: int) -> None:
        world.policy.weight = math.nan

    world.on_step = poison
    run_curriculum(scalar_run(tmp_path / "run", config, world))
    record = record_of(tmp_path / "run")
    assert row_of(record, 1).interventions[0].target == "the base"
    assert world.policy.weight == 0


@settings(deadline=None, max_examples=40)
@given(
    rate=st.floats(1e-3, 1e200),
    cap=st.floats(1e-6, 1e3),
    every=st.integers(1, 7),
    prompts=st.sampled_from(["seen", "task"]),
)
def test_rollback_never_ends_above_the_cap(rate: float, cap: float, every: int, prompts: str) -> None:
    config = curriculum(3, rate=rate, kl=cap, every=every, prompts=prompts)
    with in_memory() as folder:
        record = run_through(folder / "run", config)
    assert all(row.readings[-1].kl_per_token.value <= cap for row in record.rows)


def test_killed_after_any_event_and_resumed_it_comes_to_the_same(tmp_path: Path) -> None:
    config = curriculum()
    undisturbed = run_through(tmp_path / "whole", config)
    events = len(list(read_journal(tmp_path / "whole" / "journal.jsonl")))
    for cut in range(2, events):
        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, config, ScalarWorld(), Onlooker(cry_at=cut)))
        record = run_through(path, config)
        assert outcome(record) == outcome(undisturbed), f"killed after event {cut}"
        assert steps_of(path).equals(steps_of(tmp_path / "whole")), f"killed after event {cut}"


def test_killed_at_any_step_it_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    config = curriculum(1)
    undisturbed = run_through(tmp_path / "whole", config)
    for cut in range(1, 7):

        def die(step: int, cut: int = cut) -> None:
            if step == cut:
                raise Killed

        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, config, ScalarWorld(die), Onlooker()))
        world = ScalarWorld()
        run_curriculum(scalar_run(path, config, world))
        assert outcome(record_of(path)) == outcome(undisturbed)
        assert steps_of(path).equals(steps_of(tmp_path / "whole")), f"killed at step {cut}"
        assert world.steps_done == (6 if cut <= 3 else 3)


class DiesOnceScored(Onlooker):
    """Is killed when the first score after a stage is journaled."""

    def event(self, event: Event) -> None:
        if isinstance(event, Scored) and event.stage == 1:
            raise Killed


def test_scores_are_those_of_the_weights_that_a_stage_ends_with(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(Killed):
        run_curriculum(scalar_run(path, curriculum(enforce="observe"), ScalarWorld(), DiesOnceScored()))
    # the saved policy is damaged, and another machine trains to other weights: 6 x 0.05, not the answer of 0.6
    (partial,) = (path / "stages").glob("01*.partial")
    rmtree(partial / "checkpoints")
    next((partial / "policy").iterdir()).write_bytes(b"damaged")
    run_curriculum(scalar_run(path, curriculum(enforce="observe", rate=0.05), ScalarWorld()))
    row = row_of(record_of(path), 1)
    stored = read_scores(path / row.score_files["task0"])
    assert stored is not None
    assert row.scores["task0"].value == stored.score.value == 0


def test_ctrl_c_saves_at_the_end_of_the_step(tmp_path: Path) -> None:
    config = curriculum(1)
    undisturbed = run_through(tmp_path / "whole", config)
    world = ScalarWorld()
    life = scalar_run(tmp_path / "run", config, world)

    def press(step: int) -> None:
        if step == 4:
            life.interrupt.requested = True

    world.on_step = press
    with pytest.raises(KeyboardInterrupt):
        run_curriculum(life)
    assert record_of(tmp_path / "run").status == "interrupted"
    world = ScalarWorld()
    run_curriculum(scalar_run(tmp_path / "run", config, world))
    assert world.steps_done == 2
    assert outcome(record_of(tmp_path / "run")) == outcome(undisturbed)
