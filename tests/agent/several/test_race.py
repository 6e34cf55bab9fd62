"""A race by two processes: one is told to stop, finds the disk full, is killed; it comes to the same end."""

import signal
from collections.abc import Sequence

import pytest
import torch

from perdure.agent.run.events import Committed, Decided, Event, Interrupted, Resumed
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.weights import read_tensors
from tests.agent.killing import save_base
from tests.agent.several.curricula import curriculum, write
from tests.agent.several.forked import Ended, two
from tests.forked import GROUP

pytestmark = GROUP
WEIGHTS = 82_656
"""Bytes of a file of the model's weights."""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """The ends of the commands: a whole run, and one that is stopped, finds the disk full and goes on."""
    folder = tmp_path_factory.mktemp("race")
    save_base(base := folder / "base")
    strategy = {"type": "race", "candidates": ["sft", "rl"], "num_prompts": 4, "k": 2, "min_gain": None}
    content = curriculum(base, {"rl": {}}, 4, benchmarks=[], strategy=strategy)
    del content["stages"][0]["method"]
    content["train"] |= {"max_steps": 8, "save_steps": 2}
    write(folder / "race.yaml", content)

    def signalled(number: int, *arguments: str) -> Ended:
        (folder / "flag").write_text(str(number))
        return two(folder, *arguments, flag=folder / "flag")

    run = ("run", "race.yaml", "--output-dir")
    return {
        "whole": two(folder, *run, "whole", limits={1: 4096}),
        "stopped": signalled(signal.SIGTERM, *run, "stopped"),
        "full": two(folder, "resume", "stopped", limits={0: WEIGHTS - 1}),
        "killed": signalled(signal.SIGKILL, "resume", "stopped"),
        "resumed": two(folder, "resume", "stopped"),
    }


def events(ended: Ended, run: str) -> Sequence[Event]:
    return read_record(RunFolder(ended.folder / run))[1]


def test_it_ends_alike_in_both_processes(ends: dict[str, Ended]) -> None:
    """A process beside the main one writes nothing, so that its disk may be full."""
    assert {name: one.codes for name, one in ends.items()} == {
        "whole": [0, 0],
        "stopped": [130, 130],
        "full": [1, 1],
        "killed": [1, -signal.SIGKILL],
        "resumed": [0, 0],
    }


def test_there_is_one_journal_with_one_choice(ends: dict[str, Ended]) -> None:
    found = events(ends["whole"], "whole")
    (decided,) = [one for one in found if isinstance(one, Decided)]
    assert decided.method in ("sft", "rl") and "best of 2 after" in decided.reason
    assert sum(isinstance(one, Committed) for one in found) == 2
    again = events(ends["resumed"], "stopped")
    assert [one.method for one in again if isinstance(one, Decided)] == [decided.method]
    assert sum(isinstance(one, Interrupted) for one in again) == 1
    assert sum(isinstance(one, Resumed) for one in again) == 3


def test_a_full_disk_of_the_main_process_is_told_once_and_loses_nothing(ends: dict[str, Ended]) -> None:
    said = ends["full"].said
    assert said.count("free some space") == 1 and "resume" in said.splitlines()[-1]
    assert "Traceback" not in said and not list(ends["full"].folder.rglob("*.partial/*.partial"))
    policies = [
        read_tensors(ends["resumed"].folder / run / "stages" / "01-rl" / "policy" / "model.safetensors")
        for run in ("whole", "stopped")
    ]
    assert all(torch.equal(one, policies[1][name]) for name, one in policies[0].items())


def test_a_process_that_dies_is_told_once(ends: dict[str, Ended]) -> None:
    said = ends["killed"].said
    assert "Traceback" not in said and said.count("perdure resume stopped, by the same launcher") == 1
