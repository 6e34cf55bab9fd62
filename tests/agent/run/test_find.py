"""Finding a run or a sweep by its path or its name, and what is said where there is none, or two."""

import re
from pathlib import Path

import pytest

from perdure.agent.run.find import find_folder, find_run, locate
from perdure.agent.sweep.folder import SweepFolder, create_sweep
from perdure.budget.errors import RunError
from perdure.cli.commands.resume import resume_command
from perdure.cli.commands.show import show_command
from tests.cli.journals import whole_run, write_run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run `demo` and a sweep `grid`, both found by their names, and where we are."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/demo"), whole_run())
    write_sweep(Path("sweeps/grid"))
    return tmp_path


def write_sweep(path: Path) -> None:
    create_sweep(path, {"name": path.name, "cells": []})


def test_runs_and_sweeps_are_found_by_name_and_by_path(here: Path) -> None:
    for name in ("demo", "runs/demo", here / "runs" / "demo"):
        assert find_folder(Path(name)).path.resolve() == here / "runs" / "demo"
        assert find_run(Path(name)).resolve() == here / "runs" / "demo"
    for name in ("grid", "sweeps/grid", here / "sweeps" / "grid"):
        found = find_folder(Path(name))
        assert isinstance(found, SweepFolder) and found.path.resolve() == here / "sweeps" / "grid"
    assert locate(Path("other")) is None


def test_a_name_that_is_both_is_nobodys(here: Path) -> None:
    write_sweep(Path("sweeps/demo"))
    message = re.escape("demo is the name of two: say runs/demo or sweeps/demo")
    for command in (
        locate,
        find_folder,
        find_run,
        lambda name: show_command(name, True),
        lambda name: resume_command(name, True),
    ):
        with pytest.raises(RunError, match=message):
            command(Path("demo"))
    assert find_folder(Path("runs/demo")).path == Path("runs/demo")
    assert isinstance(find_folder(Path("sweeps/demo")), SweepFolder)
    write_run(Path("demo"), whole_run())
    assert find_folder(Path("demo")).path == Path("demo"), "a path wins"


def test_messages_name_the_remedy(here: Path) -> None:
    with pytest.raises(RunError, match=r"demi does not exist; did you mean runs/demo\?"):
        find_folder(Path("demi"))
    with pytest.raises(RunError, match=r"grit does not exist; did you mean sweeps/grid\?"):
        find_folder(Path("grit"))
    with pytest.raises(RunError, match=r"zzzzz does not exist; there is runs/demo, sweeps/grid"):
        find_folder(Path("zzzzz"))
    Path("other").mkdir()
    with pytest.raises(RunError, match=r"other has no journal.jsonl and no sweep.json, so it is no run and no sweep"):
        find_folder(Path("other"))
    (here / "other" / "run.json").write_text("{}")
    assert find_folder(Path("other")).path == Path("other")
    with pytest.raises(RunError, match=r"written nothing yet; go on with: perdure resume other"):
        find_run(Path("other"))
    with pytest.raises(RunError, match=r"sweeps/grid is a sweep and no run; see it with: perdure show sweeps/grid"):
        find_run(Path("grid"))


def test_a_finished_run_is_not_resumed_by_its_name_either(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/demo/run.json").write_text("{}")
    resume_command(Path("demo"), plain=True)
    assert capsys.readouterr().out == "runs/demo is finished; see it with: perdure show runs/demo\n"
