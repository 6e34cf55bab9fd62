"""An answer that holds a reward up or brings it down scores 0 and is counted; its neighbours get what is theirs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Item, scorer_key, scorer_name, take_unscored
from perdure.curriculum.worlds.language.environments import EpisodeReward
from perdure.curriculum.worlds.language.rewards.guarded import RewardRecipe, verifier
from perdure.curriculum.worlds.language.rewards.named import build_reward, made
from perdure.curriculum.worlds.language.rewards.trl import as_trl
from perdure.curriculum.worlds.language.sources.python import load
from perdure.curriculum.worlds.language.tasks import PythonTask
from perdure.curriculum.worlds.language.text_source import RewardConfig

HOSTILE = "tests.curriculum.worlds.language.rewards.hostile"
RECIPE = RewardRecipe(f"{HOSTILE}:verifier", {}, "obeying", "tests.obeying")


def function(**settings: Any) -> Any:
    return build_reward(RewardConfig(path=f"{HOSTILE}:graded", **settings))


def items(count: int, **columns: Any) -> list[Item]:
    return [Item("?", answer="1", columns=columns)] * count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spin", "too slow"),
        ("sleep", "too slow"),
        ("fill", "failed"),
        ("recurse", "failed"),
        ("exit", "failed"),
        ("raise", "failed"),
        ("leave", "crashed"),
        ("crash", "crashed"),
        ("x" * 1_000_001, "too long"),
    ],
)
def test_a_hostile_answer_scores_nothing_and_is_counted(text: str, why: str) -> None:
    reward = verifier(RECIPE, 0.1)
    assert reward(items(4), ["a", text, "b", "c"]) == [1.0, 0.0, 1.0, 1.0]
    assert take_unscored(reward) == {why: 1}
    assert take_unscored(reward) == {}


def test_one_hostile_answer_after_another() -> None:
    reward = verifier(RECIPE, 0.1)
    assert reward(items(5), ["crash", "leave", "spin", "a", "crash"]) == [0.0, 0.0, 0.0, 1.0, 0.0]
    assert take_unscored(reward) == {"crashed": 3, "too slow": 1}


def test_rewards_by_name_score_as_they_do_in_this_process() -> None:
    for config in (
        {"type": "exact_match", "ignore_case": True},
        {"type": "numeric", "tolerance": 0.5},
        {"type": "multiple_choice"},
        {"type": "regex", "pattern": r"(\d)"},
        {"type": "math_verify"},
        {"type": "tool_calls", "partial": True},
    ):
        asked = [Item("?", answer=answer, columns={"choices": ["1", "2"]}) for answer in ("1", "B", "2", None)]
        for text in ("1", "b", "It is 2.", "$\\frac{4}{2}$", ""):
            here, there = (one(asked, [text] * 4) for one in (made(config), build_reward(RewardConfig(**config))))
            assert here == there
    assert scorer_name(build_reward(RewardConfig(type="numeric"))) == "perdure.curriculum.rewards.named.NamedReward"


def test_draws_depend_on_the_answer_alone() -> None:
    reward = verifier(RECIPE, 1.0)
    first = reward(items(2), ["number", "a"])
    assert reward(items(3), ["a", "number", "number"])[1:] == [first[0]] * 2
    assert reward([Item("another")], ["number"]) != first[:1]


def test_nothing_heavy_is_imported_and_no_process_stays() -> None:
    reward = function()
    assert reward(items(1), ["libraries"]) == [0.0]
    code = (
        "import os, sys; from perdure.curriculum.worlds.language.rewards import process\n"
        "one = process.verifiers(); one.make('[\"builtins:dict\", {}]'); print(one._process.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    for _ in range(100):
        if not _alive(worker):
            return
        time.sleep(0.05)
    raise AssertionError("the process of the rewards outlived the run")


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leave", r"'graded' ended the process that it ran in \(exit code 3\)"),
        ("crash", r"'graded' ended the process that it ran in \(Segmentation fault\)"),
        ("exit", r"'graded' failed: SystemExit: 3 \(.*hostile.py, line \d+\)"),
        ("raise", r"'graded' failed: ValueError: no such answer \(.*hostile.py, line \d+\)"),
    ],
)
def test_a_function_that_ends_is_named(text: str, message: str) -> None:
    reward = function()
    with pytest.raises(ConfigError, match=message):
        reward(items(2), ["a", text])
    assert reward(items(2), ["a", "b"]) == [1.0, 1.0]  # the next call has a process again


def test_a_function_that_takes_too_long_is_asked_one_by_one() -> None:
    reward = function(timeout=0.5)
    assert reward(items(3), ["a", "sleep", "b"]) == [1.0, 0.0, 1.0]
    assert take_unscored(reward) == {"too slow": 1}


def test_a_function_that_always_takes_too_long_is_given_up() -> None:
    reward = function(timeout=0.2)
    words = (
        r"'graded' took longer than `reward.timeout`, 0.2 s, in 3 calls one after another, those with a single answer"
    )
    with pytest.raises(ConfigError, match=words):  # the call, the first answer, the second
        reward(items(9), ["sleep"] * 9)
    patient = function(timeout=0.5)
    assert patient(items(1), ["a"]) == [1.0]
    assert patient(items(2), ["sleep"] * 2) == [0.0] * 2  # as many calls, and it returned before


def test_a_function_is_called_as_trl_calls_it(capsys: pytest.CaptureFixture[str]) -> None:
    logged: list[Any] = []
    asked = items(1, by_step=True)
    called = as_trl(function(), asked)
    state = SimpleNamespace(global_step=7)
    given = {"trainer_state": state, "log_metric": lambda *metric: logged.append(metric), "log_extra": print}
    assert called(completions=["a", "b"], completion_ids=[[1], [2]], item=[0, 0], **given) == [7.0, 7.0]
    assert logged == [("tried", 2.0)]
    assert capsys.readouterr().out == "grading 2\n"
    assert called.__name__ == "graded"


@pytest.mark.parametrize(("timeout", "own_process"), [(None, True), (0, False)])
def test_a_reward_without_a_name_is_made_again_with_its_task(timeout: float | None, own_process: bool) -> None:
    config = PythonTask(
        type="python",
        path=f"{HOSTILE}:task",
        args={"worth": 0.25},
        train=2,
        heldout=2,
        reward=RewardConfig(type="source", timeout=timeout),
    )
    reward = load(config, name="stage", seed=0).reward
    assert reward is not None
    assert reward(items(2), ["a", "b"]) == [0.25, 0.25]
    assert hasattr(reward, "unscored") is own_process
    assert scorer_name(reward) == "perdure.curriculum.rewards.trl.FromTrl"


def test_a_function_that_cannot_be_made_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="has no 'grade'; did you mean 'graded'"):
        build_reward(RewardConfig(path=f"{HOSTILE}:grade"))


def test_settings_of_a_reward_are_part_of_the_key_of_its_scores() -> None:
    configs = [
        RewardConfig(type="numeric"),
        RewardConfig(type="numeric", tolerance=0.5),
        RewardConfig(type="exact_match"),
        RewardConfig(type="exact_match", ignore_case=True),
    ]
    for timeout in (0.0, 5.0):
        rewards = [build_reward(config.model_copy(update={"timeout": timeout})) for config in configs]
        assert len({scorer_key(reward) for reward in rewards}) == len(configs)
        assert len({scorer_key(EpisodeReward(reward)) for reward in rewards}) == len(configs)
