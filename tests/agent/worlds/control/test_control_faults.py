"""An environment that fails now and then: its episodes count 0, are named, and the run ends."""

from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.state import RunState, read_state
from perdure.agent.setup import start
from perdure.agent.worlds.control.batches import practised
from perdure.agent.worlds.control.policy import Played
from perdure.budget.errors import DataError
from perdure.cli.views.describe import describe_unscored
from perdure.curriculum.schema import Curriculum
from tests.control_runs import curriculum, point


def finished(settings: Curriculum, path: Path) -> RunState:
    torch.set_num_threads(1)
    run_curriculum(start(settings, path, NullView()))
    return read_state(read_journal(path / "journal.jsonl"))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("raise", "RuntimeError: gripper lost (.*line "),
        ("sleep", "no answer after 0.05 s"),
        ("nan", "the observation has"),
    ],
)
def test_faults_are_counted_and_named_in_learning_and_scoring(tmp_path: Path, fault: str, why: str) -> None:
    broken: dict[str, Any] = {
        "id": "tests.faulty_world:Faulty-v0",
        "kwargs": {"fault": fault, "often": False, "goal": "left"},
        "seconds": 0.05,
        "demonstrations": None,
    }
    kept = [{"type": "task", "name": "kept", "task": point(**broken, heldout=10)}]
    record = finished(
        curriculum([point(**broken, heldout=10)], method="rl", max_steps=3, benchmarks=kept), tmp_path / "run"
    )
    assert record.status == "finished"
    said = {(one.task, one.phase): describe_unscored(one) for row in record.rows for one in row.unscored}
    assert set(said) == {("stage1", "learning"), ("stage1", "scoring"), ("kept", "scoring")}
    assert all(why.partition("(")[0] in one for one in said.values())
    assert all(score.value == 0 for score in record.rows[0].scores.values())  # every way to the left passes -0.3


def test_a_batch_of_episodes_that_never_began_says_why() -> None:
    from perdure.curriculum.worlds.control.episodes import Episode
    from perdure.curriculum.worlds.control.starts import Environment, Start

    none = Episode((), torch.zeros(0, 2).numpy(), torch.zeros(0).numpy(), 0, False, {}, "reset: RuntimeError: no robot")
    played = Played(Start(Environment("none")), none, 0.0, None, torch.zeros(0))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="none of 2 episodes came to a first decision: reset: RuntimeError: no robot"):
        practised([played, played], torch.zeros(2))
