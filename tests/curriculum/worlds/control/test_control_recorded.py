"""Recorded demonstrations: the same episodes from every format, successes alone, none of a held-out start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perdure.agent.tasks import build_tasks, keep_apart
from perdure.budget.errors import PerdureError
from perdure.curriculum.task import EXAMINED, Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.eval.benchmarks import prepare_benchmarks
from tests.control_runs import base, curriculum, point
from tests.point_world import Point
from tests.recordings import Played, played, write_hdf5, write_lerobot, write_minari, write_parquet

EPISODES = [played(seed, wrong=seed == 2) for seed in range(5)]
NEVER = {"fault": "never"}
ACTIONS = actions_of(Point().action_space, 5, "the point")


def task_of(path: Path | str, kind: str = "file", *, recorded: Any = (), **settings: Any) -> Task:
    given = {"type": kind, "path": str(path)} | dict(recorded)
    config = Gymnasium.model_validate(point(demonstrations=given, **settings))
    return build_task(config, name="pick", seed=0, model=ControlModel.model_validate(base()))


def episodes_of(task: Task) -> list[Any]:
    return [one for item in task.train for one in item.columns["episodes"]]


def message(*given: Any, **settings: Any) -> str:
    with pytest.raises(PerdureError) as caught:
        task_of(*given, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _hdf5(folder: Path) -> tuple[Path, str]:
    pytest.importorskip("h5py", reason="HDF5 is read with the extra `robots`")
    return write_hdf5(EPISODES, folder / "demos.hdf5"), "file"


FORMATS: dict[str, Callable[[Path], tuple[Path, str]]] = {
    "parquet": lambda folder: (write_parquet(EPISODES, folder / "demos.parquet"), "file"),
    "hdf5": _hdf5,
    "lerobot 2": lambda folder: (write_lerobot(EPISODES, folder / "demos", version="v2.1"), "lerobot"),
    "lerobot 3": lambda folder: (write_lerobot(EPISODES, folder / "demos"), "lerobot"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_successful_episodes_in_turn(tmp_path: Path, name: str) -> None:
    found = task_of(*FORMATS[name](tmp_path), train=2)
    # Starts 0 and 1 are given episodes 0, 2, 4 and 1, 3; number 2 failed.
    assert [len(item.columns["episodes"]) for item in found.train] == [2, 2]
    assert [item.columns["failed"] for item in found.train] == [1, 0]
    for one, origin in zip(episodes_of(found), [EPISODES[number] for number in (0, 4, 1, 3)], strict=True):
        assert np.array_equal([seen.vector for seen in one.observations], origin.seen[:-1])
        assert np.array_equal(one.actions, [ACTIONS.encode(action) for action in origin.actions])
        assert {seen.instruction for seen in one.observations} == {"go"}


def test_a_minari_dataset_is_found_by_its_id_and_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari", reason="Minari comes with the extra `robots`")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    write_minari(EPISODES, "point/demos-v0")
    left = {"kwargs": {"goal": "left"}}
    by_id, by_folder = (task_of(path, "minari", **left) for path in ("point/demos-v0", tmp_path / "point/demos-v0"))
    same = task_of(write_parquet(EPISODES, tmp_path / "demos.parquet"), **left)
    assert [str(one) for one in episodes_of(by_id)] == [str(one) for one in episodes_of(same)]
    assert by_id.fingerprint() == by_folder.fingerprint() == same.fingerprint()
    said = message("point/demos-v0", "minari", kwargs={"goal": "right"})
    assert "its episodes are of Point-v0 with goal: 'left', and the task's `kwargs` have 'right'" in said
    said = message("point/demos-v0", "minari", id="tests.faulty_world:Faulty-v0", kwargs=NEVER)
    assert "its episodes are of Point-v0, and the task's environment is Faulty-v0" in said
    assert "no Minari dataset" in message("point/other-v0", "minari")


def test_another_recording_is_another_task(tmp_path: Path) -> None:
    first = task_of(write_parquet(EPISODES, tmp_path / "demos.parquet")).fingerprint()
    assert task_of(write_parquet(EPISODES[:4], tmp_path / "demos.parquet")).fingerprint() != first
    assert task_of(write_parquet(EPISODES, tmp_path / "demos.parquet")).fingerprint() == first
    assert len(episodes_of(task_of(tmp_path / "demos.parquet", recorded={"episodes": 2}))) == 2


def test_success_is_a_flag_else_a_threshold_else_refused(tmp_path: Path) -> None:
    silent = write_parquet(EPISODES, tmp_path / "demos.parquet", success=None)
    assert "whether it succeeded cannot be told" in message(silent)
    found = task_of(silent, success="return > 0.5")
    assert sum(item.columns["failed"] for item in found.train) == 1 and len(episodes_of(found)) == 4
    bare = write_parquet(EPISODES, tmp_path / "bare.parquet", success=None, reward=None)
    assert "it has no rewards" in message(bare, success="return > 0.5")
    wrong = write_parquet(EPISODES[2:3], tmp_path / "wrong.parquet")
    assert "`demonstrations`: the recording succeeds in 0 of 1 episodes" in message(wrong)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"observation": [[0.0, 0.0, 0.0]]}, "episode 0: the observation is Box(-2.0, 2.0, (2,), float32) in the env"),
        ({"observation": [[0.0, float("nan")]]}, "episode 0: the observation has a number that is not finite"),
        ({"action": [[0.0]]}, "has the shape (2,), and in the recording (1,)"),
        ({"action": [[0.0, 1.5]]}, "the action [0.0, 1.5] lies outside of Box(-1.0, 1.0, (2,), float32)"),
        ({"action": [[0.0, float("inf")]]}, "has a number that is not finite"),
        ({"action": [["a", "b"]]}, "column 'action' holds no numbers"),
        (
            {"observation": None, "observation.a": [[0.0, 0.0]], "observation.b": [[0.0]]},
            "its observations are 'a', 'b'",
        ),
        ({"observation": None}, "its observations are none; name those"),
        ({"episode": None}, "it has no column 'episode'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    one = Played(0, np.zeros((2, 2), np.float32), np.zeros((1, 2), np.float32), np.ones(1), np.ones(1, bool))
    found = message(write_parquet([one], tmp_path / "demos.parquet", **changed))
    assert said in found and "demos.parquet" in found


def test_an_action_beyond_its_bounds_by_rounding_is_taken(tmp_path: Path) -> None:
    one = Played(0, np.zeros((2, 2), np.float32), np.zeros((1, 2), np.float32), np.ones(1), np.ones(1, bool))
    found = task_of(write_parquet([one], tmp_path / "demos.parquet", action=[[-1.00001, 1.00001]]))
    assert episodes_of(found)[0].actions.tolist() == [[0, 4]]


def test_named_parts_are_joined_in_order(tmp_path: Path) -> None:
    parts = {f"observation.{name}": [float(row[place]) for one in EPISODES for row in one.seen[:-1]]
             for place, name in enumerate("xy")}  # fmt: skip
    file = write_parquet(EPISODES, tmp_path / "demos.parquet", observation=None, **parts)
    same = task_of(write_parquet(EPISODES, tmp_path / "same.parquet"))
    assert task_of(file, recorded={"observation": ["x", "observation.y"]}).fingerprint() == same.fingerprint()
    assert "it has no observation 'z'; it has 'x', 'y'" in message(file, recorded={"observation": ["x", "z"]})


def test_a_lerobot_dataset_of_several_tasks_and_of_videos(tmp_path: Path) -> None:
    several = write_lerobot(EPISODES, tmp_path / "several", tasks=("lift", "go"))
    assert len(episodes_of(task_of(several, "lerobot"))) == 2  # numbers 1 and 3 are told to go
    assert "it has 2 tasks ('go', 'lift'); choose one by" in message(several, "lerobot", instruction="fly")
    filmed = write_lerobot(EPISODES, tmp_path / "filmed", **{"images.top": "video"})
    assert len(episodes_of(task_of(filmed, "lerobot"))) == 4  # the vector is enough
    said = message(filmed, "lerobot", recorded={"observation": ["observation.images.top"]})
    assert "'observation.images.top' is a video, which is not read" in said
    old = write_lerobot(EPISODES, tmp_path / "old", version="v1.6")
    assert "of LeRobot's format v1.6" in message(old, "lerobot")
    assert "is no LeRobot dataset" in message(tmp_path, "lerobot")


def test_files_of_other_kinds_and_steps_that_were_held_otherwise(tmp_path: Path) -> None:
    (tmp_path / "demos.parquet").write_text("no parquet")
    (tmp_path / "demos.hdf5").write_text("no hdf5")
    (tmp_path / "demos.npz").write_text("")
    assert "is no Parquet file" in message(tmp_path / "demos.parquet")
    assert "a file of episodes ends in .hdf5, .h5, .parquet" in message(tmp_path / "demos.npz")
    held = {"action_repeat": 2}
    assert "recorded actions were held for 2 steps" in message(tmp_path / "demos.parquet", recorded=held)
    pytest.importorskip("h5py", reason="HDF5 is read with the extra `robots`")
    assert "is no HDF5 file" in message(tmp_path / "demos.hdf5")


def test_episodes_from_held_out_starts_are_not_trained_on(tmp_path: Path) -> None:
    listed = [{"seed": seed} for seed in range(100, 110)]
    episodes = [played(seed) for seed in (0, 109, 1, 108, 2)]  # 108 and 109 are held out
    found = task_of(write_parquet(episodes, tmp_path / "demos.parquet"), starts=listed, heldout=2)
    firsts = {one.observations[0].vector.tobytes() for one in episodes_of(found)}
    assert firsts == {episodes[number].seen[0].tobytes() for number in (0, 2, 4)}
    assert found.left_out[EXAMINED] == 2


def test_episodes_from_the_starts_of_a_benchmark_are_not_trained_on(tmp_path: Path) -> None:
    file = write_parquet([played(seed) for seed in (0, 7, 1)], tmp_path / "demos.parquet")
    starts = [{"seed": seed} for seed in (5, 6, 7)]
    kept = {"type": "task", "name": "kept", "task": point(starts=starts, heldout=2)}
    made = curriculum([point(demonstrations={"type": "file", "path": str(file)})], benchmarks=[kept])
    benchmarks = prepare_benchmarks(made.benchmarks, seed=0, model=made.model)
    (before,) = build_tasks(made)
    (after,) = keep_apart(made, [before], benchmarks)
    assert len(episodes_of(before)) == 3 and len(episodes_of(after)) == 2 and before != after
    assert after.left_out[EXAMINED] == 1


def test_the_base_imitates_a_recording_whose_starts_are_never_held_out(tmp_path: Path) -> None:
    file = write_parquet([played(seed) for seed in range(4)], tmp_path / "demos.parquet")
    known = point(demonstrations={"type": "file", "path": str(file)})
    model = ControlModel.model_validate(base(known))
    config = Gymnasium.model_validate(point(starts=[{"seed": seed} for seed in (9, 8, 0, 1, 7, 6)], heldout=5))
    found = build_task(config, name="pick", seed=0, model=model)
    assert [item.prompt.seed for item in found.heldout] == [8, 7, 6]  # the recording has 0 and 1
