"""Own code that is edited between a run's beginning and its resume is told."""

import sys
from pathlib import Path

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.log import NullView
from perdure.agent.run.record import read_record
from perdure.agent.setup import resume, start
from perdure.budget.errors import ConfigError
from perdure.cli.views.log_lines import describe_event
from perdure.cli.views.state import State
from tests import point_world
from tests.control_runs import curriculum, point


def test_edited_code_is_named_when_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # `code_dir` is added to it
    module, text = tmp_path / "own_points.py", Path(point_world.__file__).read_text()
    module.write_text(text.replace("tests.point_world", "own_points").replace('"Point', '"OwnPoint'))
    made = curriculum([point(id="own_points:OwnPoint-v0")], code_dir=str(tmp_path))
    run_curriculum(start(made, tmp_path / "run", NullView()))
    resume(tmp_path / "run", NullView(), redo_from=1)
    module.write_text(module.read_text() + "# edited\n")
    with pytest.raises(ConfigError, match="edited since it was imported here"):
        resume(tmp_path / "run", NullView(), redo_from=1)
    del sys.modules["own_points"]  # as in another process
    resume(tmp_path / "run", NullView(), redo_from=1)
    record, events = read_record(RunFolder(tmp_path / "run"))
    assert record.edited == ("own_points:OwnPoint-v0",)  # the expert is of tests.point_world still
    assert [describe_event(State(record=record), one) for one in events if "edited" in vars(one)] == [
        "resumed",
        "resumed, with code that was edited since the run began: own_points:OwnPoint-v0",
    ]
