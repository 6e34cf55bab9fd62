"""The shell is offered what is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.cli import completion


def test_shipped_names_and_files_that_begin_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demons.yaml").touch()
    (tmp_path / "demo.txt").touch()
    (tmp_path / "desk").mkdir()
    assert completion.files("dem") == ["demo", "demons.yaml"]
    assert completion.files("des") == ["desk/"]
    (tmp_path / "desk" / "a.yml").touch()
    assert completion.files("desk/") == ["desk/a.yml"]
    assert completion.sweep_files("tiny-e") == ["tiny-enforcement"]
    assert completion.lists("me") == ["methods"]


def test_runs_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.runs("") == []
    (tmp_path / "runs" / "demo-1").mkdir(parents=True)
    assert completion.runs("de") == ["demo-1"]
    assert completion.runs("runs/") == ["runs/demo-1/"]


def test_the_shell_is_answered(tmp_path: Path) -> None:
    asked = {"_PERDURE_COMPLETE": "complete_bash", "COMP_WORDS": "perdure list rew", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", "from perdure.cli.main import main; main()"]
    done = subprocess.run(
        command, env=os.environ | asked, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "rewards")
