"""`python -m tests.bench.human_eval FILE`: HumanEval's own solutions pass in the sandbox, and empty answers do not.

FILE is `HumanEval.jsonl`, also gzipped, as in the package `human-eval`. It is read as a curriculum reads it. Three
answers to each problem: its solution, the signature and the solution in a fenced block, and no code.
"""

import gzip
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from perdure.curriculum.sandbox.config import BubblewrapConfig
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.language.rewards.code import CodeTests
from perdure.curriculum.worlds.language.tasks import Dataset
from perdure.curriculum.worlds.language.text_source import RewardConfig

COLUMNS = {"completion": "canonical_solution", "tests": "test", "starter": "prompt"}
REWARD = RewardConfig(type="code_tests", sandbox=BubblewrapConfig(type="bubblewrap"))


def read(file: Path) -> Task:
    """The benchmark of the whole file."""
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "HumanEval.jsonl"
        data = file.read_bytes()
        rows.write_bytes(gzip.decompress(data) if file.suffix == ".gz" else data)
        task = Dataset(type="dataset", path=str(rows), columns=COLUMNS, heldout=10_000, chat=False, reward=REWARD)  # type: ignore[arg-type]
        return build_task(task, name="humaneval", seed=0, train=False)


def in_a_fence(item: Item) -> str:
    return f"Here it is:\n```python\n{item.columns['starter']}{item.demonstration}\n```\nIt returns what is asked."


def main(file: Path) -> None:
    task = read(file)
    assert isinstance(task.reward, CodeTests)
    kinds = {
        "solutions": [item.demonstration or "" for item in task.heldout],
        "in a fenced block": [in_a_fence(item) for item in task.heldout],
        "no code": ["" for _ in task.heldout],
    }
    for kind, answers in kinds.items():
        began = time.monotonic()
        passed = sum(score == 1 for score in task.reward(task.heldout, answers))
        seconds = time.monotonic() - began
        print(f"{kind}: {passed} of {len(answers)} pass, {seconds:.1f} s; {dict(task.reward.unscored)}")
        task.reward.unscored.clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
