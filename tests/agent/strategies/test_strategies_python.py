"""Strategies of a user's own, and the registry."""

import sys
from pathlib import Path

import pytest

from perdure.agent.strategies import STRATEGIES, make_strategy
from perdure.agent.strategies.python import Python
from perdure.budget.errors import ConfigError
from perdure.curriculum.strategies import PythonStrategy
from tests.agent.strategies.situations import Trials, curriculum, reading, situation

OWN = "tests.agent.strategies.own"


def python(path: str, **args: object) -> Python:
    return Python(PythonStrategy(type="python", path=path, args=args))


def here(kl: float = 0.0) -> object:
    return situation(curriculum({"type": "probe"}), Trials({"sft": {}, "rl": {}}), entry=reading(kl))


def test_every_strategy_of_a_curriculum_can_be_made() -> None:
    given = {"fixed": {"method": "sft"}, "python": {"path": f"{OWN}:first"}}
    for name in STRATEGIES:
        config = curriculum({"type": name} | given.get(name, {}))
        assert callable(make_strategy(config).choose)


def test_a_class_and_a_function_with_arguments() -> None:
    assert python(f"{OWN}:ByBudget", fast="chord").choose(here()).method == "chord"  # type: ignore[arg-type]
    assert python(f"{OWN}:ByBudget", below=0.9).choose(here(0.5)).method == "rl"  # type: ignore[arg-type]
    assert python(f"{OWN}:first", anything=1).choose(here()).method == "sft"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "args", "said"),
    [
        (f"{OWN}:ByBudgets", {}, "did you mean 'ByBudget'"),
        (f"{OWN}:ByBudget", {"fastest": "sft"}, "could not be made with fastest"),
        (f"{OWN}:Chooseless", {}, "no method `choose"),
        ("not_to_be_found:f", {}, "there is no module 'not_to_be_found'"),
        ("nobody", {}, "no entry point of the group 'perdure.strategies'"),
    ],
)
def test_what_cannot_be_made_is_one_message(path: str, args: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        python(path, **args)


def test_a_failure_says_whose_it_is_and_where() -> None:
    with pytest.raises(ConfigError, match=r"Failing' failed on stage 'first': KeyError: 'nowhere' .*own.py"):
        python(f"{OWN}:Failing").choose(here())  # type: ignore[arg-type]


def test_an_entry_point_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what pip leaves of a package that has one
    folder = tmp_path / "theirs-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[perdure.strategies]\nthrift = {OWN}:ByBudget\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert str(tmp_path) in sys.path
    assert python("thrift", fast="tilt").choose(here()).method == "tilt"  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean 'thrift'"):
        python("thrif")
