"""The loop in the smallest world: order, budget, faults, kills and resumes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.agent.chronicle import Chronicle
from perdure.agent.folder import RunFolder, create
from perdure.agent.journal import Event, read_journal
from perdure.agent.loop import Life, live
from perdure.agent.record import Record, read_record
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum
from perdure.eval.benchmarks import prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from tests.agent.scalar_world import ScalarWorld, scalar_task


class Onlooker:
    """Counts what it is shown, and may cry out at a chosen event."""

    def __init__(self, cry_at: int | None = None) -> None:
        self.events: list[Event] = []
        self.cry_at = cry_at

    def event(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) == self.cry_at:
            raise Killed

    def past(self, events: Any) -> None:
        pass

    def progress(self, progress: dict[str, Any]) -> None:
        pass


class Killed(BaseException):
    """Stands for a kill: nothing in perdure catches it."""


def curriculum(stages: int = 2, rate: float = 0.1, **budget: Any) -> Curriculum:
    source = {"type": "python", "path": "m:f"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "scalar"},
            "budget": {"kl": 1.0, "every": 2} | budget,
            "strategy": {"type": "fixed", "method": "sft"},
            "train": {"learning_rate": rate, "max_steps": 6, "save_steps": 3},
            "stages": [{"name": f"task{number}", "task": source} for number in range(stages)],
        }
    )


def a_life(path: Path, config: Curriculum, world: ScalarWorld, view: Onlooker) -> Life:
    tasks = tuple(scalar_task(stage.name, f"{0.6 * (1 + index):.1f}") for index, stage in enumerate(config.stages))
    fresh = not path.exists()
    folder = create(path, {}) if fresh else RunFolder(path)
    chronicle = Chronicle(folder, view)
    if fresh:
        chronicle.tell("started", run=path.name, tasks=[task.name for task in tasks], benchmarks=[])
    scorecard = Scorecard(tasks, prepare_benchmarks([]), config.evaluation, path)
    return Life(config, tasks, world, Monitor(config.budget, world.measure), scorecard, folder, chronicle)


def lived(path: Path, config: Curriculum, on_step: Callable[[int], float | None] = lambda step: None) -> Record:
    live(a_life(path, config, ScalarWorld(on_step), Onlooker()))
    return read_record(read_journal(path / "journal.jsonl"))


def row_of(record: Record, stage: int) -> Any:
    row = record.row(stage)
    assert row is not None
    return row


def test_a_life_within_its_budget(tmp_path: Path) -> None:
    record = lived(tmp_path / "run", curriculum())
    # six steps of 0.1 a stage: weights 0.6 and 1.2, so KL 0.36 and 1.44; the second is above the cap of 1
    # and goes back to the last good reading: step 4, weight 1.0, where 1.0 ** 2 may round to just within 1
    assert record.status == "finished"
    assert [row.committed for row in record.rows] == [True] * 3
    assert row_of(record, 0).readings[-1].kl_per_token.value == 0
    assert row_of(record, 1).readings[-1].kl_per_token.value == pytest.approx(0.36)
    last = row_of(record, 2).readings[-1]
    assert last.within and last.final
    assert row_of(record, 2).interventions[0]["action"] == "rollback"
    # task0's answer is "0.6": the base scores 0 on it, stage 1 scores 1
    assert row_of(record, 0).scores["task0"].value == 0
    assert row_of(record, 1).scores["task0"].value == 1


def test_observe_and_stop_keep_what_they_reach(tmp_path: Path) -> None:
    observed = lived(tmp_path / "observe", curriculum(enforce="observe", kl=0.1))
    assert row_of(observed, 1).steps == 6
    assert not row_of(observed, 1).interventions
    stopped = lived(tmp_path / "stop", curriculum(enforce="stop", kl=0.1))
    # readings at steps 2 (0.04) and 4 (0.16): ends at 4, and stage 2 has nothing left to begin with
    assert row_of(stopped, 1).steps == 4
    assert row_of(stopped, 2).steps == 0
    assert "no budget left" in row_of(stopped, 2).interventions[0]["reason"]


@pytest.mark.parametrize("enforce", ["observe", "stop", "rollback"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_loss_goes_back_and_the_life_goes_on(tmp_path: Path, enforce: str, bad: float) -> None:
    record = lived(tmp_path / "run", curriculum(enforce=enforce), lambda step: bad if step == 5 else None)
    # broken at step 5, last good reading at step 4: weight 0.4
    assert row_of(record, 1).interventions[0]["action"] == "broken"
    assert row_of(record, 1).interventions[0]["target"] == "step 4"
    assert row_of(record, 1).readings[-1].kl_per_token.value == pytest.approx(0.16)
    assert record.status == "finished"


def test_weights_that_turn_nan_end_at_the_base(tmp_path: Path) -> None:
    config = curriculum(1)
    world = ScalarWorld()

    def poison(step: int) -> None:
        world.policy.weight = math.nan

    world.on_step = poison
    live(a_life(tmp_path / "run", config, world, Onlooker()))
    record = read_record(read_journal(tmp_path / "run" / "journal.jsonl"))
    assert row_of(record, 1).interventions[0]["target"] == "the base"
    assert world.policy.weight == 0


@settings(deadline=None, max_examples=40)
@given(
    rate=st.floats(1e-3, 1e200),
    cap=st.floats(1e-6, 1e3),
    every=st.integers(1, 7),
    prompts=st.sampled_from(["seen", "task"]),
)
def test_rollback_never_ends_above_the_cap(
    tmp_path_factory: pytest.TempPathFactory, rate: float, cap: float, every: int, prompts: str
) -> None:
    config = curriculum(3, rate=rate, kl=cap, every=every, prompts=prompts)
    record = lived(tmp_path_factory.mktemp("life") / "run", config)
    assert all(row.readings[-1].kl_per_token.value <= cap for row in record.rows)


def outcome(record: Record) -> Any:
    """What a life came to, without its times."""
    return [(row.name, row.steps, row.readings, row.scores, row.weights_sha256) for row in record.rows]


def test_killed_after_any_event_and_resumed_it_comes_to_the_same(tmp_path: Path) -> None:
    config = curriculum()
    undisturbed = lived(tmp_path / "whole", config)
    events = len(list(read_journal(tmp_path / "whole" / "journal.jsonl")))
    for cut in range(2, events):
        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            live(a_life(path, config, ScalarWorld(), Onlooker(cry_at=cut)))
        record = lived(path, config)
        assert outcome(record) == outcome(undisturbed), f"killed after event {cut}"


def test_killed_at_any_step_it_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    config = curriculum(1)
    undisturbed = lived(tmp_path / "whole", config)
    for cut in range(1, 7):

        def die(step: int, cut: int = cut) -> None:
            if step == cut:
                raise Killed

        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            live(a_life(path, config, ScalarWorld(die), Onlooker()))
        world = ScalarWorld()
        live(a_life(path, config, world, Onlooker()))
        assert outcome(read_record(read_journal(path / "journal.jsonl"))) == outcome(undisturbed)
        assert world.steps_done == (6 if cut <= 3 else 3)


def test_ctrl_c_saves_at_the_end_of_the_step(tmp_path: Path) -> None:
    config = curriculum(1)
    undisturbed = lived(tmp_path / "whole", config)
    world = ScalarWorld()
    life = a_life(tmp_path / "run", config, world, Onlooker())

    def press(step: int) -> None:
        if step == 4:
            life.interrupt.requested = True

    world.on_step = press
    with pytest.raises(KeyboardInterrupt):
        live(life)
    assert read_record(read_journal(tmp_path / "run" / "journal.jsonl")).status == "interrupted"
    world = ScalarWorld()
    live(a_life(tmp_path / "run", config, world, Onlooker()))
    assert world.steps_done == 2
    assert outcome(read_record(read_journal(tmp_path / "run" / "journal.jsonl"))) == outcome(undisturbed)
