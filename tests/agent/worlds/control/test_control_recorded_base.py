"""A base that imitates a recording: one base for the same files, another for others."""

from pathlib import Path

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.state import read_state
from perdure.agent.setup import start
from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.errors import DataError
from tests.control_runs import base, curriculum, point
from tests.recordings import played, write_parquet


def test_the_base_follows_from_what_the_recording_holds(tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file in files:
        write_parquet([played(seed) for seed in range(4)], file)
    models = [base(point(demonstrations={"type": "file", "path": str(file)})) for file in files]
    first, other_name = (ControlWorld(curriculum([point()], model=model)) for model in models)
    assert first.base_id == other_name.base_id
    assert first.resolved["base"] == "imitates successes (tests.point_world:Point-v0: 4 of 4 recorded episodes)"
    assert first.policy.fingerprint() == other_name.policy.fingerprint()
    write_parquet([played(seed) for seed in range(4, 8)], files[0])
    changed = ControlWorld(curriculum([point()], model=models[0]))
    assert changed.base_id != first.base_id
    assert changed.policy.fingerprint() != first.policy.fingerprint()


def test_a_run_says_how_many_episodes_of_an_expert_succeeded() -> None:
    near, far = (
        {"options": {"x": x, "y": 0.0}} for x in (-0.6, 0.5)
    )  # of one step, only the near ones reach (-0.8, 0)
    near_too = [{"options": {"x": -0.6, "y": y / 100}} for y in range(1, 6)]
    task = point(starts=[far, near, *near_too], horizon=1, train=4, heldout=2)
    world = ControlWorld(curriculum([point()], model=base(task)))
    assert world.resolved["base"] == "imitates successes (tests.point_world:Point-v0: 3 of 4 episodes)"


def test_too_few_successes(tmp_path: Path) -> None:
    file = write_parquet([played(seed, wrong=seed < 2) for seed in range(4)], tmp_path / "demos.parquet")
    model = base(point(demonstrations={"type": "file", "path": str(file)}))
    with pytest.raises(DataError, match="has 2 successes in 4 episodes, and 3 are asked for"):
        ControlWorld(curriculum([point()], model=model))


def test_a_stage_says_how_many_demonstrations_failed(tmp_path: Path) -> None:
    file = write_parquet([played(seed, wrong=seed < 2) for seed in range(6)], tmp_path / "demos.parquet")
    made = curriculum([point(demonstrations={"type": "file", "path": str(file)})], method="sft")
    run_curriculum(start(made, tmp_path / "run", NullView()))
    row = read_state(read_journal(tmp_path / "run/journal.jsonl")).rows[1]
    assert [describe_notice(one) for one in row.notices] == ["2 of 6 demonstrations failed and were not imitated"]
