"""`run`, Ctrl-C, `resume` and `show` as a user meets them: separate processes, signals and exit codes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.killing import save_base
from tests.forked import GROUP, Command, perdure

CURRICULUM = """
model: {model_name_or_path: ./base, device: cpu}
budget: {kl: 1.0, every: 10, num_prompts: 4, max_completion_length: 6}
strategy: {type: fixed, method: sft}
train: {learning_rate: 1e-3, max_steps: %d, per_device_train_batch_size: 4, save_steps: 1000}
stages:
  - {name: first, task: {type: python, path: "tests.agent.worlds.language.toy:toy"}}
evaluation: {max_completion_length: 6}
"""
pytestmark = GROUP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_base(tmp_path / "base")
    (tmp_path / "life.yaml").write_text(CURRICULUM % 20)
    return tmp_path


def training(run: Path) -> bool:
    path = run / "progress.json"
    return path.exists() and json.loads(path.read_text()).get("step", 0) > 0


def test_ctrl_c_saves_and_resume_goes_on(folder: Path) -> None:
    (folder / "long.yaml").write_text(CURRICULUM % 400)
    command = Command(folder, "run", "long.yaml", "--output-dir", "run")
    deadline = time.monotonic() + 120
    while not training(folder / "run") and not command.over and time.monotonic() < deadline:
        time.sleep(0.05)
    command.interrupt()
    stopped = command.wait()
    errors = stopped.stderr
    assert stopped.returncode == 130, errors
    assert "perdure resume run" in errors
    assert "Traceback" not in errors
    assert list((folder / "run").glob("stages/*.partial/checkpoints/step-*")), "Ctrl-C saves"
    assert shown(folder, "run")["status"] == "interrupted"
    resumed = perdure(folder, "resume", "run")
    assert resumed.returncode == 0, resumed.stderr
    assert shown(folder, "run")["status"] == "finished"


def test_a_run_from_beginning_to_end(folder: Path) -> None:
    done = perdure(folder, "run", "life.yaml", "--seed", "3")
    assert done.returncode == 0, done.stderr
    *_, where, policy = done.stdout.splitlines()
    assert where == "run folder: runs/life-1"
    assert (folder / policy.removeprefix("policy: ") / "config.json").is_file()
    assert done.stderr == ""
    found = shown(folder, "runs/life-1")
    assert found["status"] == "finished"
    assert [row["stage"] for row in found["rows"]] == [0, 1]
    assert found["rows"][1]["method"] == "sft"
    assert found["rows"][1]["kl_per_token"] <= found["rows"][1]["budget"]
    assert len(found["weights_sha256"]) == 64
    assert json.loads((folder / "runs/life-1/run.json").read_text())["curriculum"]["seed"] == 3
    again = perdure(folder, "resume", "runs/life-1")
    assert again.returncode == 0
    assert "finished" in again.stdout
    refused = perdure(folder, "run", "life.yaml", "--output-dir", "runs/life-1")
    assert refused.returncode == 1
    assert "exists" in refused.stderr and "Traceback" not in refused.stderr


def test_nothing_is_written_for_a_bad_file(folder: Path) -> None:
    (folder / "bad.yaml").write_text((CURRICULUM % 20).replace("method: sft", "method: sfft"))
    before = sorted(folder.iterdir())
    done = perdure(folder, "run", "bad.yaml")
    assert done.returncode == 1
    assert "bad.yaml:4:" in done.stderr and "'sft'" in done.stderr
    assert sorted(folder.iterdir()) == before


def shown(folder: Path, run: str) -> dict[str, Any]:
    done = perdure(folder, "show", run, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]
