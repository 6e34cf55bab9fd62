"""Code that a file names is the user's own: found without executing it, and refused where it is not."""

import os
import subprocess
import sys
from importlib import reload
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import hash_as_executed, load_function, search_code_in, signature_fault
from perdure.curriculum.own_code import DEMONSTRATIONS, REWARD, STRATEGY, TASK, CodeKind, locate

MODULE = """\
raise SystemExit("executed")
import os, subprocess as sp
from os import system
from os import system as grade
from json import *
from house.rewards import right as alias
from house.rewards import gone
if True:
    def inner(item): ...
try:
    made = other = inner
except ImportError:
    made: object = None
class Own: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "house").mkdir()
    (tmp_path / "house/__init__.py").write_text("from .rewards import right\nraise SystemExit\n")
    (tmp_path / "house/rewards.py").write_text("from ..oops import f\nimport house\ndef right(completions, **_): ...\n")
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces/deep.py").write_text("def f(item): ...\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "nested.py").write_text("x = " + "(" * 500 + ")" * 500)
    (tmp_path / "binary.py").write_bytes(b"\x00\xff")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "module", "name"),
    [
        ("mine:inner", "mine", "inner"),
        ("mine:made", "mine", "made"),
        ("mine:Own", "mine", "Own"),
        ("mine:alias", "house.rewards", "right"),  # from another module of the user's own
        ("house:right", "house.rewards", "right"),
        ("spaces.deep:f", "spaces.deep", "f"),  # a folder without __init__.py
        ("perdure.curriculum.skills:odd_number", "perdure.curriculum.worlds.language.skills.skills", "odd_number"),
    ],
)
def test_own_definitions_are_found_where_they_are_defined(folder: Path, path: str, module: str, name: str) -> None:
    found = locate(path, REWARD, [folder])
    assert (found.module, found.name) == (module, name)
    assert not {"mine", "house", "house.rewards"} & set(sys.modules)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("os:system", "standard library"),
        ("builtins:exec", "standard library"),
        ("subprocess:run", "standard library"),
        ("importlib.util:find_spec", "standard library"),
        ("mine:system", "'os' is a module of Python's standard library"),
        ("mine:grade", "'os' is a module of Python's standard library"),
        ("mine:os", "is a module, not a function"),
        ("mine:sp", "is a module, not a function"),
        ("mine:dumps", "has no 'dumps'"),
        ("mine:inne", "did you mean 'inner'"),
        ("mine:gone", "module 'house.rewards' has no 'gone'"),
        ("numpy:load", "of the installed package 'numpy'"),
        ("torch.hub:load", "of the installed package 'torch'"),
        ("trl.rewards:think_format_reward", None),
        ("perdure.agent.run.folder:create", "'perdure.agent.run.folder' is of perdure"),
        ("house.rewards:f", "there is no module"),
        ("nowhere:f", "'nowhere'; it must be installed or lie in .*; start perdure in the folder where it lies"),
        ("mine.deeper:f", "there is no module 'mine.deeper'"),
        ("__main__:f", "there is no module '__main__'"),
        (".:f", "there is no module"),
        ("broken:f", "broken.py:1: no valid Python"),
        ("nested:f", "no valid Python"),
        ("binary:f", "no valid Python"),
    ],
)
def test_what_is_not_the_users_own_is_refused(folder: Path, path: str, said: str | None) -> None:
    if said is None:
        assert locate(path, REWARD, [folder]).module.startswith("trl.rewards.")
        said = "of the installed package 'trl'"  # TRL's signature is that of a reward alone
    with pytest.raises(ConfigError, match=said):
        locate(path, TASK, [folder])


def plain(**_: Any) -> None: ...


def none() -> "None": ...


def strategy(below: float) -> "Chooses": ...


def quoted() -> "somewhere.Strategy": ...  # type: ignore[name-defined]  # noqa: F821


class Chooses:
    def choose(self, situation: Any) -> Any: ...


class Grades:
    def __call__(self, completions: Any, **_: Any) -> Any: ...


def task(seed: int, train: int, heldout: int, word: str) -> Any: ...


def narrow(prompts: Any, completions: Any) -> Any: ...


async def later(completions: Any, **_: Any) -> Any: ...


def by_place(item: Any, /) -> str: ...


@pytest.mark.parametrize(
    ("found", "kind", "said"),
    [
        (Chooses, STRATEGY, None),
        (strategy, STRATEGY, None),
        (quoted, STRATEGY, None),
        (plain, STRATEGY, "does not say that it returns a Strategy"),
        (none, STRATEGY, "does not say that it returns a Strategy"),
        (Grades, STRATEGY, "has no method `choose(situation)`"),
        (task, TASK, None),
        (plain, TASK, "does not say that it returns a Task"),
        (none, TASK, "has another signature"),
        (Chooses, TASK, "is a class, not a function"),
        (Grades(), REWARD, None),
        (later, REWARD, None),
        (narrow, REWARD, "has another signature"),
        (Grades, REWARD, "is a class, not a function"),
        (by_place, DEMONSTRATIONS, None),
        (none, DEMONSTRATIONS, "has another signature"),
        (os.system, REWARD, "has another signature"),
    ],
)
def test_signatures(found: Any, kind: CodeKind, said: str | None) -> None:
    reason = signature_fault(found, kind)
    assert reason is None if said is None else reason is not None and said in reason


def test_a_module_of_the_same_name_elsewhere_is_not_taken_for_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_name_for_test.py").write_text(f"def f(item): return {name!r}\n")
    before = list(sys.path)
    try:
        search_code_in(str(tmp_path / "one"))
        assert load_function("same_name_for_test:f", DEMONSTRATIONS)(None) == "one"
        search_code_in(str(tmp_path / "two"))
        with pytest.raises(ConfigError, match="another module 'same_name_for_test' is loaded already"):
            load_function("same_name_for_test:f", DEMONSTRATIONS)
    finally:
        sys.path[:] = before
        sys.modules.pop("same_name_for_test", None)


def test_a_module_that_was_edited_since_it_was_imported_is_refused_when_a_run_is_set_up(tmp_path: Path) -> None:
    file = tmp_path / "edited_for_test.py"
    before = list(sys.path)
    try:
        search_code_in(str(tmp_path))
        for text in ("one", "one"):  # written again as it was, as a notebook's cell does
            file.write_text(f"def f(item): return {text!r}\n")
            assert load_function("edited_for_test:f", DEMONSTRATIONS)(None) == "one"
        place = locate("edited_for_test:f", DEMONSTRATIONS, [tmp_path])
        hash_as_executed(place, "it")
        # a run that goes on has the code that it began with, and the next one is refused
        for text in ("def f(", "def g(item): return 'another'\n", "def f(item): return 'another'\n"):
            file.write_text(text)
            assert load_function("edited_for_test:f", DEMONSTRATIONS)(None) == "one"
        with pytest.raises(ConfigError, match="edited since it was imported here"):
            hash_as_executed(place, "it")
        file.write_text("def f(item): return 'another'\ndef g(item): return 'new'\n")
        with pytest.raises(ConfigError, match="edited since it was imported here"):
            load_function("edited_for_test:g", DEMONSTRATIONS)
        reload(sys.modules["edited_for_test"])
        hash_as_executed(place, "it")
        assert load_function("edited_for_test:f", DEMONSTRATIONS)(None) == "another"
    finally:
        sys.path[:] = before
        sys.modules.pop("edited_for_test", None)


def test_a_module_that_was_run_and_not_imported_is_taken(tmp_path: Path) -> None:
    """As of `python FOLDER/__main__.py`, it has no spec."""
    script = "from perdure.curriculum.import_path import *\nfrom perdure.curriculum.own_code import DEMONSTRATIONS\n"
    script += "from perdure.curriculum.own_code import locate\nfrom pathlib import Path\n"
    script += f"search_code_in({str(tmp_path)!r})\ndef f(item): return 'one'\n"
    script += "print(load_function('__main__:f', DEMONSTRATIONS)(None))\n"
    script += "hash_as_executed(locate('__main__:f', DEMONSTRATIONS, [Path(__file__).parent]), 'it')\n"
    (tmp_path / "__main__.py").write_text(script)
    said = subprocess.run([sys.executable, tmp_path / "__main__.py"], capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == ("one\n", "")


def test_what_only_turns_out_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import os\nfrom functools import partial\nf = os.system\ng = partial(print)\nh = 3\n"
    )
    (tmp_path / "leaves.py").write_text("def f(item): ...\nraise SystemExit(0)\n")
    code = "import sys\nfrom perdure.budget.errors import ConfigError\n" + (
        "from perdure.curriculum.import_path import load_function\nfrom perdure.curriculum.own_code import REWARD\n"
        "for path in sys.argv[1:]:\n    try:\n        load_function(path, REWARD)\n"
        "    except ConfigError as error:\n        print(error)\n"
    )
    paths = ("late:f", "late:g", "late:h", "leaves:f")
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert [line.partition(" '")[2].partition("'")[0] for line in lines] == list(paths), done.stderr
    assert "is not defined in" in lines[0] and "is not defined in" in lines[1]
    assert "is not a function but int" in lines[2] and "SystemExit: 0" in lines[3]
