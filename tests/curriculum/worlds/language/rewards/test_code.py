"""The reward `code_tests`: what is run of an answer, what its verdict counts as, and what is refused before."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.sandbox.batch import Program
from perdure.curriculum.sandbox.contract import Verdict
from perdure.curriculum.task import Item, Task, take_unscored
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.language.look_up import look_up
from perdure.curriculum.worlds.language.rewards.code import LONGEST, CodeTests, code_of, item_tests, program_of
from perdure.curriculum.worlds.language.text_source import RewardConfig
from tests.curriculum.sandbox.opened import opened
from tests.curriculum.worlds.language.sources.building import CONFIG, write_rows

REWARD = {"type": "code_tests", "sandbox": {"type": "bubblewrap"}, "timeout": 0.5}
HUMAN_EVAL = {"columns": {"completion": "canonical_solution", "tests": "test", "starter": "prompt"}, "chat": False}


def problem(
    name: str, body: str = "    return x + 1\n", test: str = "    assert candidate(1) == 2\n"
) -> dict[str, Any]:
    """A row as HumanEval has it."""
    return {
        "task_id": f"T/{name}",
        "prompt": f'import math\n\n\ndef {name}(x):\n    """ Add one to {name}. """\n',
        "entry_point": name,
        "canonical_solution": body,
        "test": f"def check(candidate):\n{test}",
    }


def built(path: Path, *, train: bool = True, **more: Any) -> Task:
    config = {"type": "dataset", "path": str(path), "train": 2, "heldout": 4, "reward": REWARD, **HUMAN_EVAL, **more}
    return build_task(CONFIG.validate_python(config), name="code", seed=0, train=train)


@pytest.mark.parametrize(
    ("answer", "continues", "code"),
    [
        ("x = 1", False, "x = 1"),
        ("Look:\n```python\nx = 1\n```\nand\n```\ny = 2\n```\n.", False, "y = 2"),
        ("```py\nx = 1\n", False, "x = 1\n"),
        ("```python\nx = 1\n```\nIt prints:\n```text\n5\n```\n", False, "x = 1"),
        ("```bash\npip install x\n```\nThen:\n```python\nx = 1\n```\nThat is all.", False, "x = 1"),
        ("Use ```x``` so: ```python\nx = 1\n```\n", False, "x = 1"),
        ('```Python title="x.py"\r\nx = 1\n```', False, "x = 1"),
        ("```python\n```\nNone.\n```python\nx = 1\n```", False, "x = 1"),
        ("```json\n{}\n```", False, "```json\n{}\n```"),
        ("```python\ns = '```'\n```", True, "s = '```'"),
        ("    return 1\n\ndef other():\n    pass", True, "    return 1\n"),
        ("    return 1\n# next", True, "    return 1"),
        ("    if x:\n        print(x)\n    return 1", True, "    if x:\n        print(x)\n    return 1"),
        ("x = 1\ndef f(): pass", False, "x = 1\ndef f(): pass"),
    ],
)
def test_the_code_of_an_answer(answer: str, continues: bool, code: str) -> None:
    assert code_of(answer, continues=continues) == code


def test_the_program_is_the_starter_the_code_and_the_tests() -> None:
    columns = {"starter": "def f(x):\n", "tests": "def check(f): assert f(1)", "entry_point": "f"}
    tests = "def check(f): assert f(1)\n\ncheck(f)\n"
    assert program_of(Item("def f(x):\n", columns=columns), "    return x") == Program("def f(x):\n    return x", tests)
    fenced = Program("def f(x):\n\ndef f(x): return 1", tests)
    chat = [{"role": "user", "content": "f"}]
    for prompt in ("def f(x):\n", chat):
        assert program_of(Item(prompt, columns=columns), "```\ndef f(x): return 1\n```") == fenced
    assert item_tests({"tests": ["assert f(1)", "assert f(2)"], "entry_point": "f"}) == "assert f(1)\nassert f(2)"
    assert item_tests({}) == item_tests({"tests": None, "entry_point": "f"}) == ""


class Told:
    """A sandbox that gives the verdict of which the code is the reason."""

    workers = 2

    def run(self, code: str, tests: str, timeout: float, slot: int = 0) -> Verdict:
        return Verdict(code == "\npassed", code.strip() if "too" in code else "")

    def stop(self) -> None: ...


def test_verdicts_are_scores_and_answers_without_one_are_counted() -> None:
    reward = CodeTests(Told())
    tested = Item([{"role": "user", "content": "f"}], columns={"tests": "x"})
    answers = ["passed", "wrong", "too slow", "x" * (LONGEST + 1), "passed"]
    assert reward([*[tested] * 4, Item("f")], answers) == [1, 0, 0, 0, None]
    assert take_unscored(reward) == {"too long": 1, "too slow": 1}
    assert reward([], []) == [] and take_unscored(reward) == {}


def test_a_file_of_human_eval_is_a_benchmark(tmp_path: Path) -> None:
    """All of its problems are asked, its own solutions pass, and an endless one counts as too slow."""
    opened()
    task = built(write_rows(tmp_path / "he.jsonl", [problem("f"), problem("g"), problem("h")]), train=False)
    assert len(task.heldout) == 3 and task.reward is not None
    assert {item.prompt for item in task.heldout} == {problem(name)["prompt"] for name in "fgh"}
    assert task.reward(task.heldout, [item.demonstration or "" for item in task.heldout]) == [1, 1, 1]
    assert take_unscored(task.reward) == {}
    fenced = "```python\ndef f(x): return x + 1\n```"
    by_name = {item.columns["entry_point"]: item for item in task.heldout}
    asked = [by_name[name] for name in "fgfh"]
    assert task.reward(asked, [fenced, fenced, "    return x", "    while x: pass"]) == [1, 0, 0, 0]
    assert take_unscored(task.reward) == {"too slow": 1}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([problem(n) | {"test": ""} for n in "fghi"], "4 of 4 items have none; say where they are with"),
        (
            [problem(n, test="    pass\n") for n in "fghi"],
            "tests of 4 of 4 items pass without any code, such as 'def che",
        ),
        ([problem(n) | {"entry_point": None} for n in "fghi"], "nothing calls them: where they define `check`, give"),
        ([problem(n, body="    return x\n") for n in "fghi"], "none of 4 demonstrations passes its tests, such as"),
    ],
)
def test_tests_that_say_nothing_are_refused(rows: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    opened()
    with pytest.raises(DataError, match=message):
        built(write_rows(tmp_path / "he.jsonl", rows))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "code_tests"}, "it and `sandbox` go together"),
        ({"type": "numeric", "sandbox": {"type": "bubblewrap"}}, "it and `sandbox` go together"),
        ({**REWARD, "timeout": 0}, "always has a limit"),
        ({**REWARD, "sandbox": {"type": "exec"}}, "bubblewrap"),
    ],
)
def test_code_is_run_only_where_the_file_says(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RewardConfig(**config)


def test_a_machine_without_the_sandbox_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`validate` and `run` look it up; a task that is built without that says the same."""
    path = write_rows(tmp_path / "he.jsonl", [problem(name) for name in "fghi"])
    config = CONFIG.validate_python({"type": "dataset", "path": str(path), "reward": REWARD, **HUMAN_EVAL})
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = look_up(config).faults
    assert found.path == ("reward", "sandbox", "type")
    assert found.message.startswith("`sandbox.type: bubblewrap` needs Linux and the program `bwrap`")
    podman = CONFIG.validate_python(
        {"type": "dataset", "path": str(path), "reward": {**REWARD, "sandbox": {"type": "podman", "image": "python"}}}
    )
    assert look_up(podman).faults[0].message.startswith("`sandbox.type: podman` needs the program `podman`")
    with pytest.raises(ConfigError, match="apt install bubblewrap, or leave out the reward `code_tests`"):
        built(path)
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] && echo bubblewrap 0.8.0 || echo 'no namespaces' >&2\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match="does not work on this machine: the sandbox could not be started: no namesp"):
        built(path)
    broken.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    with pytest.raises(ConfigError, match=r"needs bubblewrap 0\.7 or later"):
        built(path)


def test_look_up_names_a_row_without_tests(tmp_path: Path) -> None:
    opened()
    rows = [problem("f"), problem("g") | {"test": ""}]
    config = {"type": "dataset", "path": str(write_rows(tmp_path / "he.jsonl", rows)), "reward": REWARD, **HUMAN_EVAL}
    (found,) = look_up(CONFIG.validate_python(config)).faults
    assert "he.jsonl:2 has no tests" in found.message
