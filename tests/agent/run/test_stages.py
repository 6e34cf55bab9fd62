"""Stages on the disk: a run that the version before began goes on to the same end."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from perdure.agent.loop import run_curriculum
from perdure.agent.run.stages import SavedStage, saved_stage
from tests.agent.scalar_run import curriculum, outcome, record_of, scalar_run
from tests.plugin.perdure_scalar.world import ScalarWorld


def test_a_run_of_schema_1_goes_on(tmp_path: Path) -> None:
    config = curriculum(2, enforce=["penalty", "project"], kl=0.25)
    run_curriculum(scalar_run(tmp_path / "new", config, ScalarWorld()))
    assert saved_stage(tmp_path / "new/stages") is None
    saved = saved_stage(tmp_path / "new/stages/01-task0")
    assert saved is not None and (saved.name, saved.method, saved.steps) == ("task0", "sft", 6)
    assert saved.penalty_weight is not None

    older = tmp_path / "older"
    shutil.copytree(tmp_path / "new", older)
    shutil.rmtree(older / "stages/02-task1")
    (older / "stages/01-task0/stage.json").rename(older / "stages/01-task0/settled.json")
    lines = [json.loads(line) for line in (older / "journal.jsonl").read_text().splitlines()]
    lines[0].pop("schema")
    for line in lines:
        line.pop("crc32")
    kept = [line for line in lines if line.get("stage", 0) < 2 and line["event"] != "finished"]
    (older / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert saved_stage(older / "stages/01-task0") == saved

    run_curriculum(scalar_run(older, config, ScalarWorld()))
    assert outcome(record_of(older)) == outcome(record_of(tmp_path / "new"))
    first, second = (saved_stage(path / "stages/02-task1") for path in (older, tmp_path / "new"))
    assert first is not None and second is not None
    assert replace(first, files=first.policy_files) == replace(second, files=second.policy_files)


def test_a_stage_of_schema_1_has_no_penalty_weight_without_a_penalty(tmp_path: Path) -> None:
    (tmp_path / "settled.json").write_text('{"name": "a", "method": "sft", "steps": 3}')
    assert saved_stage(tmp_path) == SavedStage("a", "sft", 3)
