"""`perdure validate`, `sample`, `--help` and the exit codes, as a user meets them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError
from perdure.cli.errors import guarded
from perdure.curriculum.messages import printable
from tests.forked import GROUP, perdure

HEAVY = ("torch", "transformers", "trl", "datasets", "peft", "lm_eval", "reasoning_gym", "scipy", "numpy")
GOOD = """\
model: {model_name_or_path: org/name}
budget: {kl: 0.5, unit: sequence, enforce: stop}
strategy: {type: rule}
stages:
  - {name: a, task: {type: dataset, path: data.csv}}
  - {name: b, task: {type: python, path: "perdure.curriculum.worlds.language.skills:even_number"}, method: rl}
benchmarks: [{tasks: perdure_spell, name: spell, include_path: builtin}]
"""
pytestmark = GROUP
START = "import sys; from perdure.cli.main import main; sys.argv[0] = 'perdure'; "


def imports(*arguments: str, cwd: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A process that has imported nothing yet."""
    command = [sys.executable, "-c", START + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=60)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "data.csv").write_text("prompt,completion\nWho?,Me\n")
    return tmp_path


def test_a_good_file_is_told_in_one_line(good: Path) -> None:
    done = perdure(good, "validate", "good.yaml")
    # `a` is a dataset without a reward: only `sft` can learn it; `b` names `rl` itself.
    assert done.stdout == (
        "good: 2 stages (a, b); methods possible: sft, rl; budget: 0.5 nats a sequence (stop); benchmarks: spell\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_all_that_is_enforced_is_told(good: Path) -> None:
    done = perdure(good, "validate", "good.yaml", "--set", "budget.enforce=[penalty, project]")
    assert "budget: 0.5 nats a sequence (penalty, project)" in done.stdout
    done = perdure(good, "validate", "good.yaml", "--set", "budget.allocation=floor")
    assert done.returncode == 1 and "budget.allocation" in done.stderr
    assert "there is none for 'a', 'b': set `budget.target_accuracy`" in done.stderr


def test_a_bad_file_is_one_message_without_traceback(good: Path) -> None:
    done = perdure(good, "validate", "good.yaml", "--set", "seed=x", "--set", "budget.kl=0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "--set seed: must be a whole number; got 'x'\n--set budget.kl: must be greater than 0; got 0\n"
    )


OWN = """\
from perdure.agent.strategies.contract import Decision


class Thrift:
    def __init__(self, below: float = 0.5) -> None:
        self.below = below

    def choose(self, situation: object) -> Decision:
        return Decision("sft", "always")


def nothing() -> None:
    return None
"""


def test_a_strategy_of_ones_own_is_made_as_a_run_would_and_needs_no_torch(good: Path) -> None:
    (good / "thrift.py").write_text(OWN)
    own = "strategy={type: python, path: 'thrift:Thrift', args: {below: 0.3}}"
    done = perdure(good, "validate", "good.yaml", "--import-code", "--set", own)
    assert (done.returncode, done.stderr) == (0, "")
    code = (
        "from perdure.cli.commands.validate import validate_command as validate; "
        "validate('good.yaml', [sys.argv[1]], False, True); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert imports(own, cwd=good, code=code).stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("path: 'thrifts:Thrift'", "'thrifts:Thrift': there is no module 'thrifts'; it must be installed or lie in"),
        ("path: 'thrift:Thrifty'", "module 'thrift' has no 'Thrifty'; did you mean 'Thrift'?"),
        ("path: 'thrift:Thrift', args: {above: 1}", "'thrift:Thrift' could not be made with above: TypeError"),
        ("path: 'thrift:nothing'", "does not say that it returns a Strategy (`-> Strategy`); it must be a class with"),
        ("path: thrift", "'thrift' is no entry point of the group 'perdure.strategies'"),
    ],
)
def test_a_strategy_of_ones_own_that_cannot_be_made_is_refused_with_its_place(good: Path, own: str, said: str) -> None:
    (good / "thrift.py").write_text(OWN)
    (good / "own.yaml").write_text(GOOD.replace("type: rule", f"type: python, {own}"))
    done = perdure(good, "validate", "own.yaml", "--import-code")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("own.yaml:3:32: strategy.path: the strategy '")  # `strategy: {type: python, path: …`
    assert said in done.stderr


def test_an_environment_that_its_module_does_not_register_is_refused_with_its_place(good: Path) -> None:
    (good / "rails.py").write_text("import gymnasium\n\ngymnasium.register('Rail-v0', 'rails:Rail')\n")
    (good / "own.yaml").write_text(
        "model: {type: control, path: .}\nbudget: {kl: 1.0}\nstrategy: {type: fixed, method: rl}\nstages:\n"
        "  - {name: rail, task: {type: gymnasium, id: 'rails:Rail-v0', success: return > 0}}\n"
    )
    assert perdure(good, "validate", "own.yaml", "--import-code").returncode == 0
    (good / "own.yaml").write_text((good / "own.yaml").read_text().replace("Rail-v0", "Rial-v0"))
    done = perdure(good, "validate", "own.yaml", "--import-code")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "stages[0].task.id: gymnasium has no environment 'rails:Rial-v0'; did you mean 'rails:Rail-v0'?; "
        "'rails' must register it\n"
    )


def test_code_beside_the_file_is_found_and_executed_only_if_asked(good: Path) -> None:
    (good / "grim.py").write_text(f"{OWN}\nfrom os import system\nopen('executed', 'w').close()\n")
    (good / "own.yaml").write_text(GOOD.replace("type: rule", "type: python, path: 'grim:Thrift'"))
    (good / "elsewhere").mkdir()
    done = perdure(good / "elsewhere", "validate", "../own.yaml")
    note = "not looked at: the code of grim:Thrift, which --import-code would execute\n"
    assert (done.returncode, done.stderr) == (0, note) and not (good / "elsewhere/executed").exists()
    shell = GOOD.replace("type: rule", "type: python, path: 'grim:system', args: {command: touch executed}")
    (good / "shell.yaml").write_text(shell)
    done = perdure(good / "elsewhere", "validate", "../shell.yaml", "--import-code")
    assert done.returncode == 1 and "'os' is a module of Python's standard library" in done.stderr
    assert not (good / "elsewhere/executed").exists()  # refused before the module is imported
    done = perdure(good / "elsewhere", "validate", "../own.yaml", "--import-code", "--json")
    assert json.loads(done.stdout)["code_dir"] == str(good) and (good / "elsewhere/executed").exists()


SWEEP = """\
curriculum: good.yaml
seeds: [0, 3]
axes:
  - {name: arm, cells: {mild: {budget.kl: 0.2}, wild: {budget.kl: 2, benchmarks.0.tasks: perdure_spell}}}
  - {path: stages.0.task.split, values: [train, all, both]}
"""


def test_a_sweep_is_counted_and_its_arms_are_listed(good: Path) -> None:
    (good / "many.yaml").write_text(SWEEP)
    done = perdure(good, "validate", "many.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (  # 12 = 2 arms by 3 splits by 2 seeds
        "many: a sweep of good.yaml; 12 cells: arm (2: mild, wild) × split (3: train, all, both) × seeds (2: 0, 3); "
        "methods possible: sft, rl\n"
    )
    (good / "many.yaml").write_text(SWEEP.replace("perdure_spell", "perdure_spel"))
    done = perdure(good, "validate", "many.yaml", "--json")
    (fault,) = json.loads(done.stdout)["errors"]
    assert (done.returncode, fault["file"], fault["line"]) == (1, "many.yaml", 4)
    assert fault["path"] == "benchmarks[0].tasks" and "did you mean 'perdure_spell'?" in fault["message"]
    (good / "good.yaml").write_text(GOOD.replace("path: data.csv", "path: data.csv, columns: {prompt: p}"))
    (good / "many.yaml").write_text(SWEEP.replace("budget.kl: 0.2", "stages.0.task.columns: {prompt: prompt}"))
    done = perdure(good, "validate", "many.yaml")
    assert done.stderr.startswith("good.yaml:5:71: stages[0].task.columns.prompt: the data, ")
    assert done.stderr.endswith("no column 'p' (there are prompt, completion) (where arm is 'wild')\n")


def test_json_of_a_good_file_is_the_resolved_curriculum(good: Path) -> None:
    done = perdure(good, "validate", "good.yaml", "--json", "--set", "seed=3")
    resolved = json.loads(done.stdout)
    assert (done.returncode, resolved["seed"], resolved["budget"]["every"]) == (0, 3, 20)


def test_json_of_a_bad_file_lists_the_faults(good: Path) -> None:
    (good / "bad.yaml").write_text(GOOD.replace("kl: 0.5", "kl: x"))
    done = perdure(good, "validate", "bad.yaml", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "errors": [
            {
                "file": "bad.yaml",
                "line": 2,
                "column": 14,
                "path": "budget.kl",
                "message": "must be a number; got 'x'",
            }
        ]
    }


def test_the_sample_validates(tmp_path: Path) -> None:
    text = perdure(tmp_path, "sample").stdout
    (tmp_path / "sample.yaml").write_text(text)
    assert perdure(tmp_path, "validate", "sample.yaml").returncode == 0


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    done = perdure(tmp_path, "validate", "--nothing")
    assert done.returncode == 2
    assert "No such option: --nothing" in done.stderr
    assert perdure(tmp_path, "nothing").returncode == 2


def test_version(tmp_path: Path) -> None:
    done = perdure(tmp_path, "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "perdure")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["plan", "--help"], ["sample"], ["list", "benchmarks"], ["validate", "good.yaml"]],
)
def test_nothing_heavy_is_imported(good: Path, arguments: list[str]) -> None:
    (good / "good.yaml").write_text(GOOD + "train: {trl: {logging_steps: 1}, lr_scheduler_type: cosine}\n")
    told = f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    code = f"import atexit; atexit.register(lambda: {told}); main()"
    done = imports(*arguments, cwd=good, code=code)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def fails(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("no"), 1), (ValueError("oh"), 3), (KeyboardInterrupt(), 130), (SystemExit(4), 4), (SystemExit(), 0)],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(fails(error)) == code
    told = capsys.readouterr().err
    assert ("Traceback" in told, "a fault in perdure" in told) == (code == 3, code == 3)
    assert (told == "no\n") == (code == 1)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\n\u202eé") == "a\\x1b[31m\n\\u202eé"
