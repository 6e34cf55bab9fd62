"""A world, an objective and a modifier of somebody else's, installed as one package and used from the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

PACKAGE = Path(__file__).parent / "plugin"
CLIMB = """
model: {type: scalar}
budget: {kl: 4, every: 2, enforce: rollback}
strategy: {type: fixed, method: climb}
train: {learning_rate: 0.1, max_steps: 6, brake: {strength: 0.5}}
stages:
  - {name: low, task: {type: target, number: 0.6}}
  - {name: high, method: climb + brake, task: {type: target, number: 1.1}}
"""
LEAP = """
model: {type: mlp, hidden_sizes: [8], pretrain: {images: 20, num_train_epochs: 1}}
budget: {kl: 100, enforce: observe, prompts: task, num_prompts: 20}
strategy: {type: fixed, method: METHOD}
train: {max_steps: 4, leap: {learning_rate: 0.01}}
stages:
  - {name: parity, task: {type: images, images: digits, rule: parity, train: 64, heldout: 20}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process for which the package is installed."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    copy = tmp_path_factory.mktemp("package") / "plugin"
    subprocess.run(["cp", "-r", str(PACKAGE), str(copy)], check=True)
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(copy)], check=True)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def perdure(environment: Mapping[str, str], *words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("perdure")
    command = [str(program), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run(environment: Mapping[str, str], text: str, folder: Path, name: str = "run") -> list[dict[str, Any]]:
    """The journal of a run of this curriculum."""
    (folder / f"{name}.yaml").write_text(text)
    done = perdure(environment, "run", f"{name}.yaml", "--output-dir", name, "--plain", folder=folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / name / "journal.jsonl").read_text().splitlines()]


def test_a_world_runs_from_the_command_line(installed: Mapping[str, str], tmp_path: Path) -> None:
    events = run(installed, CLIMB, tmp_path)
    commits = [event for event in events if event["event"] == "commit"]
    assert [(one["name"], one["method"], one["steps"]) for one in commits] == [
        ("base", None, 0),
        ("low", "climb", 6),
        ("high", "climb+brake", 6),
    ]
    # Six steps of 0.1 reach 0.6, whose square is the KL.
    readings = [event for event in events if event["event"] == "reading" and event["stage"] == 1 and event["final"]]
    assert [one["kl_per_token"]["value"] for one in readings] == [pytest.approx(0.36)]
    scores = {(one["stage"], one["name"]): one["value"] for one in events if one["event"] == "score"}
    assert (scores[0, "low"], scores[1, "low"]) == (0.0, 1.0)
    shown = perdure(installed, "show", "run", folder=tmp_path)
    assert shown.returncode == 0 and "climb+brake" in shown.stdout
    listed = perdure(installed, "plan", "run.yaml", "--json", folder=tmp_path)
    assert json.loads(listed.stdout)["stages"][0]["methods"][0]["steps"] == 6


def test_what_the_world_lacks_is_refused_with_its_place(installed: Mapping[str, str], tmp_path: Path) -> None:
    bad = CLIMB.replace("max_steps: 6", "max_steps: 6, beta: 1").replace("climb + brake", "climb + break")
    (tmp_path / "bad.yaml").write_text(bad)
    done = perdure(installed, "validate", "bad.yaml", folder=tmp_path)
    assert done.returncode == 1
    assert "bad.yaml:5:" in done.stderr and "train.beta: has no meaning with this model" in done.stderr
    assert "bad.yaml:8:" in done.stderr and "did you mean 'brake'?" in done.stderr


def test_methods_join_the_worlds_of_perdure(installed: Mapping[str, str], tmp_path: Path) -> None:
    plain, held = (
        run(installed, LEAP.replace("METHOD", name), tmp_path, name.replace("+", "-"))[-2]
        for name in ("leap", "leap+hold")
    )
    assert (plain["method"], held["method"]) == ("leap", "leap+hold")
    apart, beside = (
        load_file(next((tmp_path / name).glob("stages/01-*/policy/*.safetensors"))) for name in ("leap", "leap-hold")
    )
    for name, tensor in apart.items():
        torch.testing.assert_close(beside[name], tensor, rtol=1e-5, atol=1e-7)  # a term of 0
