"""Tasks built from what a curriculum would say, and files with rows to build them from."""

import csv
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from perdure.curriculum.schema import TaskConfig
from perdure.curriculum.task import Task, prompt_key
from perdure.curriculum.worlds.build import build_task
from tests.curriculum.methods import ON_SFT, SYNONYMS

CONFIG: TypeAdapter[Any] = TypeAdapter(TaskConfig)


def build(seed: int = 0, origin: Path | None = None, **config: Any) -> Task:
    return build_task(CONFIG.validate_python(config), name="stage", seed=seed, origin=origin)


def gym(dataset: str = "chain_sum", seed: int = 0, **more: Any) -> Task:
    return build(seed=seed, **{"type": "reasoning_gym", "dataset": dataset, "train": 20, "heldout": 10, **more})


def data(path: Path | str, seed: int = 0, origin: Path | None = None, **more: Any) -> Task:
    return build(seed=seed, origin=origin, **{"type": "dataset", "path": str(path), "train": 6, "heldout": 3, **more})


def python(path: str, **more: Any) -> Task:
    return build(**{"type": "python", "path": path, "train": 4, "heldout": 2, **more})


def assert_disjoint(task: Task) -> None:
    prompts = [prompt_key(item) for item in (*task.train, *task.heldout)]
    assert len(set(prompts)) == len(prompts)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


BY_IMITATION = ("sft", "sdft", *ON_SFT)
"""What can learn a text with demonstrations and no reward, in the order of the world's list."""
BY_REWARD = ("rl", "tilt", "rl_kl", *SYNONYMS)
"""What can learn a text with a reward and no demonstrations."""
SUMS = [{"question": f"{a}+1=?", "answer": str(a + 1)} for a in range(12)]
MATCH = {"type": "exact_match"}
