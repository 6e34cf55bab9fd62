"""Whole runs of the language world under each way to hold the budget: no stage ends above its cap, whatever it did."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, read_state
from tests.agent.killing import save_base, start_or_resume, tiny_stream

TASK = {"type": "python", "path": "tests.agent.worlds.language.toy:toy"}
STAGES = [
    {"name": "one", "method": "sft", "task": TASK},
    {"name": "two", "method": "replay", "task": TASK | {"args": {"size": 20}}},
]
CAP = 0.01


def run_through(folder: Path, enforce: Any, **changes: Any) -> RunState:
    base = folder / "base"
    save_base(base)
    prompts = folder / "prompts.jsonl"
    prompts.write_text("\n".join(f'{{"prompt": "after {letter}?"}}' for letter in "abcdefgh"))
    budget = {"kl": CAP, "every": 2, "num_prompts": 4, "max_completion_length": 6, "enforce": enforce}
    if "recover" in enforce:
        budget |= {"generic": str(prompts), "recover": {"max_steps": 20, "num_prompts": 4, "learning_rate": 3e-3}}
    changes = {"budget": budget, "stages": STAGES, "benchmarks": []} | changes
    start_or_resume(tiny_stream(base, **changes), folder / "run")
    return read_state(read_journal(folder / "run" / "journal.jsonl"))


@pytest.mark.parametrize(
    ("enforce", "lora"),
    [
        (["recover", "rollback"], None),
        (["penalty", "project"], {"r": 4}),
    ],
    ids=str,
)
def test_no_stage_is_committed_above_its_cap(enforce: list[str], lora: Any, tmp_path: Path) -> None:
    model = {"model_name_or_path": str(tmp_path / "base"), "device": "cpu", "lora": lora}
    train = tiny_stream(tmp_path).train.model_dump() | {"learning_rate": 3e-2}
    record = run_through(tmp_path, enforce, model=model, train=train)
    rows = [row for row in record.rows if row.committed]
    assert [row.name for row in rows] == ["base", "one", "two"]
    assert max(row.readings[-1].kl_per_token.value for row in rows) <= CAP
    assert any(row.interventions for row in rows), "nothing had to be held"
