"""What `perdure env` says of an installation is what is installed."""

from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

from perdure.agent.machine import hardware, installation, missing
from perdure.cli.commands.env import installed_lines, machine_lines


def test_what_is_missing_is_named_also_in_the_extras_of_a_package() -> None:
    def lacks(*asked: str) -> list[str]:
        return missing([Requirement(one) for one in asked])

    assert lacks("pydantic>=2", "rich") == []
    assert lacks("pydantic>=1000", "no-such-package>=1") == ["pydantic>=1000", "no-such-package>=1"]
    assert lacks("no-such-package>=1; extra == 'x'") == ["no-such-package>=1"]


def test_an_extra_that_is_not_there_has_its_pip_line() -> None:
    here = installation() | {"packages": {"torch": version("torch")}, "extras": {"robots": ["metaworld>=3"], "dev": []}}
    assert installed_lines(here)[2:] == [
        "packages",
        f"  torch {version('torch')}",
        "extras",
        "  robots: not installed (metaworld>=3); pip install 'perdure[robots]'",
        "  dev: installed",
    ]


def test_the_machine_is_in_four_lines_without_a_gpu_and_names_each_gpu(tmp_path: Path) -> None:
    found = hardware(tmp_path)
    assert found["cores"] >= 1 and found["disk_free"] > 0 and found["auto"] in ("cpu", "cuda")
    plain = {"gpus": [], "auto": "cpu", "dtype": "float32", "cores": 2, "memory": 24.0, "disk_free": 63.04}
    assert machine_lines(plain) == [
        "device: auto is cpu for language models, in float32",
        "  no GPU that torch can use",
        "  2 CPU cores, 24.0 GiB of memory",
        "disk: 63.0 GiB free for runs",
    ]
    assert machine_lines(plain | {"gpus": [{"name": "X", "memory": 80.0}]})[1] == "  cuda:0 X, 80 GiB"
