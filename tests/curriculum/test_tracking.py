"""The `tracking` section: names or maps, near names, no secrets, and a package that is missing."""

import re
from pathlib import Path
from typing import ClassVar

import pytest

from perdure.agent.differences import differences
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.trackers import read_trackers
from perdure.curriculum.tracking import SECTIONS, Tracker, refuse_missing, tracker_of


class Absent(Tracker):
    module: ClassVar[str] = "no_such_package"

    type: str = "absent"


def refusal(tracking: str) -> str:
    with pytest.raises(CurriculumError) as caught:
        read_curriculum("demo", [f"tracking={tracking}"])
    return str(caught.value)


@pytest.mark.parametrize(
    ("tracking", "words"),
    [
        ("[wandbb]", "tracking[0]: must be 'trackio', 'wandb', 'tensorboard' or 'mlflow'; got 'wandbb'; did you mean "),
        ("[{type: wandb, projet: x}]", "tracking[0].projet: unknown key; did you mean 'project'?"),
        ("[{type: mlfow}]", "tracking[0].type: must be"),
        ("[{project: x}]", "tracking[0].type: required key is missing"),
        ("[tensorboard, {type: tensorboard}]", "tracking[1]: this tracker is given twice"),
        ("tensorboard", "tracking: must be a list"),
        ("[{type: mlflow, tracking_uri: 'http://me:pw@h'}]", "holds no password and no token"),
        ("[{type: trackio, server_url: 'http://h/?write_token=1'}]", "holds no password and no token"),
    ],
)
def test_a_fault_has_its_place_and_its_remedy(tracking: str, words: str) -> None:
    assert words in refusal(tracking)


def test_a_missing_package_names_its_extra() -> None:
    message = "tracking[0]: the package of 'absent' is not installed: pip install 'perdure[absent]'"
    with pytest.raises(ConfigError, match=re.escape(message)):
        refuse_missing([Absent()])


def test_a_bare_name_has_the_defaults() -> None:
    for name, section in SECTIONS.items():
        assert tracker_of(name) == section.model_validate({"type": name})


def test_no_tracker_is_the_default() -> None:
    assert read_curriculum("demo").curriculum.trackers == ()


def test_where_a_run_is_sent_is_no_difference() -> None:
    begun, now = {"seed": 1, "tracking": []}, {"seed": 2, "tracking": ["trackio"]}
    assert differences("curriculum", begun, now) == ["curriculum.seed: was 1, is 2"]


def test_a_path_of_a_tracker_is_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(read_curriculum("demo").text + "\ntracking: [{type: tensorboard, log_dir: logs}]\n")
    (tracker,) = read_curriculum(file).curriculum.trackers
    assert tracker.model_dump()["log_dir"] == str(tmp_path / "logs")


def test_trackers_are_read_from_an_option() -> None:
    assert read_trackers("[]") == []
    assert read_trackers("[trackio]") == ["trackio"]
    with pytest.raises(CurriculumError, match=r"--tracking: tracking\[0\]: must be 'trackio'.*did you mean 'trackio'"):
        read_trackers("[trakio]")
    with pytest.raises(CurriculumError, match="given twice"):
        read_trackers("[trackio, trackio]")
