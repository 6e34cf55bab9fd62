"""A LeRobot dataset's folder, of format 2 or 3: `meta/info.json`, and `data/chunk-*/*.parquet`, one row a step.

https://github.com/huggingface/lerobot. Videos are not read. Success and reward are `next.success` and `next.reward`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.control.demonstrations.parquet import (
    by_episode,
    is_observation,
    observed,
    read_table,
    recording,
)
from perdure.curriculum.worlds.control.demonstrations.recording import Recording, chosen

INFO = "meta/info.json"


def read_lerobot(
    folder: Path, wanted: Sequence[str] | None, space: Any, instruction: str | None
) -> Iterator[Recording]:
    """The episodes of a folder, by number; of several tasks those of the instruction.

    Raises:
        DataError: no such dataset, a damaged one, or one whose observations are videos.
    """
    features = _features(folder)
    videos = [name for name, one in features.items() if one.get("dtype") == "video"]
    names = [name for name in features if is_observation(name) and name not in videos]
    _refuse_videos(folder, videos, wanted, names)
    numbers = _task_numbers(folder, instruction)
    files = sorted((folder / "data").glob("chunk-*/*.parquet"))
    if not files:
        raise DataError(f"{folder}: it has no data/chunk-*/*.parquet")
    for file in files:
        yield from _read(file, names, wanted, space, numbers)


def _read(
    file: Path, names: Sequence[str], wanted: Sequence[str] | None, space: Any, numbers: frozenset[int] | None
) -> Iterator[Recording]:
    table = read_table(file)
    needed = ["episode_index", "frame_index", "action", *names, *(["task_index"] if numbers is not None else [])]
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise DataError(f"{file}: it has no column {missing[0]!r}, which {INFO} promises")
    table = table.sort_by([("episode_index", "ascending"), ("frame_index", "ascending")])
    for number, part in by_episode(table, "episode_index"):
        place = f"{file}, episode {number}"
        if numbers is None or part.column("task_index")[0].as_py() in numbers:
            parts = chosen(observed(part, names, place), wanted, space, place)
            yield recording(part, parts, place, reward="next.reward", success="next.success")


def _features(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        info = json.loads((folder / INFO).read_text())
        version, features = str(info["codebase_version"]), dict(info["features"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is no LeRobot dataset: {INFO}: {type(error).__name__}: {error}") from None
    if not version.startswith(("v2", "v3")):
        raise DataError(f"{folder}: it is of LeRobot's format {version}; convert it to v2 or v3 with lerobot's scripts")
    return features


def _refuse_videos(folder: Path, videos: Sequence[str], wanted: Sequence[str] | None, names: Sequence[str]) -> None:
    asked = videos if wanted is None and not names else [
        name for name in videos if wanted and name.removeprefix("observation.") in {
            one.removeprefix("observation.") for one in wanted}
    ]  # fmt: skip
    if asked:
        raise DataError(
            f"{folder}: {asked[0]!r} is a video, which is not read; record it as images (`use_videos=False` of "
            "LeRobotDataset.create), or learn from other observations (`demonstrations.observation`)"
        )


def _task_numbers(folder: Path, instruction: str | None) -> frozenset[int] | None:
    """The numbers of the tasks that are called so; `None`: the dataset has one task."""
    tasks = _tasks(folder)
    if len(tasks) < 2:
        return None
    found = frozenset(number for number, said in tasks.items() if said == instruction)
    if not found:
        said = ", ".join(map(repr, sorted(tasks.values())[:5]))
        raise DataError(f"{folder}: it has {len(tasks)} tasks ({said}{', …' if len(tasks) > 5 else ''}); choose one by "
                        "the task's `instruction`")  # fmt: skip
    return found


def _tasks(folder: Path) -> dict[int, str]:
    lines, table = folder / "meta/tasks.jsonl", folder / "meta/tasks.parquet"
    try:
        if lines.exists():
            read = [json.loads(line) for line in lines.read_text().splitlines() if line.strip()]
            return {int(one["task_index"]): str(one["task"]) for one in read}
        if not table.exists():
            return {}
        found = read_table(table)
        said = next(name for name in found.column_names if name != "task_index")
        return dict(zip(found.column("task_index").to_pylist(), found.column(said).to_pylist(), strict=True))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise DataError(f"{folder}: its tasks cannot be read: {type(error).__name__}: {error}") from None
