"""Writes episodes of the point in every format that recorded demonstrations are read from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from tests.point_world import Point, expert


@dataclass(frozen=True)
class Played:
    """T + 1 observations, T actions, and the reward and success of each step."""

    seed: int
    seen: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    success: NDArray[np.bool_]


def played(seed: int, goal: str = "left", steps: int = 12, wrong: bool = False) -> Played:
    """An episode of the expert, until it succeeds; a `wrong` one stands still."""
    world = Point(goal)
    seen, _ = world.reset(seed=seed)
    act = expert(world)
    rows: list[tuple[Any, ...]] = []
    found = [seen]
    for _ in range(steps):
        action = np.zeros(2, np.float32) if wrong else act(found[-1])
        after, reward, _, _, info = world.step(action)
        rows.append((action, reward, info["success"]))
        found.append(after)
        if info["success"]:
            break
    actions, rewards, success = (np.array(column) for column in zip(*rows, strict=True))
    return Played(seed, np.array(found), actions.astype(np.float32), rewards.astype(np.float64), success.astype(bool))


def write_parquet(episodes: list[Played], file: Path, **changed: Any) -> Path:
    """`changed` are columns in place of these, or `None`: without it."""
    columns: dict[str, Any] = {
        "episode": [number for number, one in enumerate(episodes) for _ in one.actions],
        "observation": [row.tolist() for one in episodes for row in one.seen[:-1]],
        "action": [row.tolist() for one in episodes for row in one.actions],
        "reward": [value for one in episodes for value in one.rewards],
        "success": [bool(value) for one in episodes for value in one.success],
    }
    columns |= changed
    parquet.write_table(pa.table({name: one for name, one in columns.items() if one is not None}), file)
    return file


def write_hdf5(episodes: list[Played], file: Path, *, success: bool = True) -> Path:
    """Robomimic's layout; `success` as an attribute of each demonstration."""
    import h5py

    with h5py.File(file, "w") as opened:
        for number, one in enumerate(episodes):
            demo = opened.create_group(f"data/demo_{number}")
            demo["obs/state"] = one.seen[:-1]
            demo["actions"], demo["rewards"] = one.actions, one.rewards
            demo["dones"] = np.eye(len(one.actions))[-1]
            if success:
                demo.attrs["success"] = bool(one.success.any())
    return file


def write_lerobot(
    episodes: list[Played], folder: Path, *, version: str = "v3.0", tasks: tuple[str, ...] = ("go",), **features: str
) -> Path:
    """A dataset whose episodes are of the tasks in turn; `features` are further ones, with their types."""
    (folder / "meta").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    known = {"observation.state": {"dtype": "float32", "shape": [2]}, "action": {"dtype": "float32", "shape": [2]}}
    known |= {f"observation.{name}": {"dtype": kind, "shape": [8, 8, 3]} for name, kind in features.items()}
    (folder / "meta/info.json").write_text(json.dumps({"codebase_version": version, "features": known}))
    numbered = [{"task_index": number, "task": said} for number, said in enumerate(tasks)]
    if version.startswith("v2"):
        (folder / "meta/tasks.jsonl").write_text("\n".join(map(json.dumps, numbered)))
    else:
        parquet.write_table(pa.Table.from_pylist(numbered), folder / "meta/tasks.parquet")
    tables = [_frames(number, one, number % len(tasks)) for number, one in enumerate(episodes)]
    if version.startswith("v2"):
        for number, table in enumerate(tables):
            parquet.write_table(table, folder / f"data/chunk-000/episode_{number:06d}.parquet")
    else:
        parquet.write_table(pa.concat_tables(tables), folder / "data/chunk-000/file-000.parquet")
    return folder


def _frames(number: int, one: Played, task: int) -> Any:
    count = len(one.actions)
    return pa.table(
        {
            "observation.state": [row.tolist() for row in one.seen[:-1]],
            "action": [row.tolist() for row in one.actions],
            "next.reward": one.rewards,
            "next.success": one.success,
            "episode_index": [number] * count,
            "frame_index": list(range(count)),
            "task_index": [task] * count,
        }
    )


def write_minari(episodes: list[Played], name: str, goal: str = "left") -> None:
    """A dataset under Minari's local root."""
    import minari
    from minari.data_collector import EpisodeBuffer

    buffers = [
        EpisodeBuffer(
            id=number,
            seed=one.seed,
            observations=list(one.seen),
            actions=list(one.actions),
            rewards=list(one.rewards),
            terminations=[False] * len(one.actions),
            truncations=[*[False] * (len(one.actions) - 1), True],
            infos={"success": [False, *one.success.tolist()]},
        )
        for number, one in enumerate(episodes)
    ]
    world = gymnasium.make("Point-v0", goal=goal)
    minari.create_dataset_from_buffers(
        name, buffers, env=world, observation_space=world.observation_space, action_space=world.action_space
    )
