"""The source of tasks that are played in turns: rows, prompts, rewards, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task, questions, shown
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.environments import EpisodeReward
from perdure.curriculum.worlds.language.sources.environment import load
from perdure.curriculum.worlds.language.spec import LANGUAGE
from perdure.curriculum.worlds.learnable import facts_of, learnable_by, task_refusal
from tests.agent.worlds.language.rooms import ROOMS, Rooms

HERE = "tests.curriculum.worlds.language.sources.test_environment"
ROWS: list[dict[str, Any]] = [{"room": number, "answer": str(number)} for number in range(8)]


class Bare:
    def reset(self) -> None: ...


class Nowhere:
    def look(self) -> str:
        """Look."""
        return ""


class Slow(Rooms):
    async def wait(self) -> str:
        """Wait."""
        return ""


def task(folder: Path, rows: list[dict[str, Any]] = ROWS, **settings: Any) -> Task:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    usual = {"type": "environment", "path": ROOMS, "data": str(folder / "rows.jsonl"), "train": 5, "heldout": 3}
    config = EnvironmentTask.model_validate(usual | {"prompt": "find it"} | settings)
    return load(config, name="rooms", seed=0)


def test_rows_with_one_prompt_are_different_items(tmp_path: Path) -> None:
    found = task(tmp_path, [*ROWS, ROWS[0]])
    rooms = {item.prompt.row["room"] for item in (*found.train, *found.heldout)}
    assert rooms == set(range(8)) and not questions(found.train) & questions(found.heldout)
    first = found.train[0]
    assert shown(first.prompt).splitlines()[0] == "find it"
    assert first.prompt.row["prompt"] == [{"role": "user", "content": "find it"}]
    assert found.fingerprint() == task(tmp_path, [*ROWS, ROWS[0]]).fingerprint()
    assert found.fingerprint() != task(tmp_path, [*ROWS, ROWS[0]], max_tool_calling_iterations=2).fingerprint()


def test_held_out_rows_of_their_own_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:2]))
    found = task(tmp_path, heldout={"path": str(tmp_path / "exam.jsonl")}, train=8)
    assert {item.prompt.row["room"] for item in found.heldout} == {0, 1}
    assert {item.prompt.row["room"] for item in found.train} == set(range(2, 8))


def test_messages_that_ask_all_are_the_question_everywhere(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n} + {n}?", "answer": str(2 * n), "id": f"{n}/{copy}"} for n in range(6) for copy in "ab"]
    how: dict[str, Any] = {"path": ROOMS.replace("Rooms", "Silent"), "reward": {"type": "numeric"}, "prompt": None}
    found = task(tmp_path, rows, train=6, heldout=3, **how)
    assert not questions(found.train) & questions(found.heldout)
    assert {f"{n} + {n}?" for n in range(6)} <= questions((*found.train, *found.heldout))
    rows[1]["answer"] = "77"  # the messages of two rows no longer decide what is right
    assert "3 + 3?" not in questions(task(tmp_path, rows, train=6, heldout=3, **how).train)


def test_only_rl_learns_it(tmp_path: Path) -> None:
    facts = facts_of(task(tmp_path))
    assert learnable_by(LANGUAGE, facts) == ("rl", "rl_kl", "grpo", "dr_grpo")
    assert task_refusal(LANGUAGE, LANGUAGE.method("rl+kl+ewc"), facts) is None
    assert task_refusal(LANGUAGE, LANGUAGE.method("rl+replay"), facts) == (
        "method 'rl+replay' reads one answer to a prompt, and this task is played in turns; it can be learned by 'rl', "
        "'rl_kl', 'grpo' or 'dr_grpo'"
    )


def test_a_file_with_another_method_is_refused() -> None:
    stage = {"name": "rooms", "task": {"type": "environment", "path": ROOMS, "data": "x.jsonl"}, "method": "tilt"}
    sections = {"model": {"model_name_or_path": "builtin:tiny"}, "budget": {"kl": 1}, "stages": [stage]}
    with pytest.raises(ValueError, match="method 'tilt' reads one answer to a prompt"):
        Curriculum.model_validate(sections | {"strategy": {"type": "fixed", "method": "rl"}})


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"path": f"{HERE}:Bare"}, ConfigError, "has no tools: no public method beside `reset` and `get_reward`"),
        ({"path": f"{HERE}:Nowhere"}, ConfigError, "has no method `reset`"),
        ({"path": f"{HERE}:Slow"}, ConfigError, "`wait` is `async`, which is not played here"),
        ({"path": f"{HERE}:task"}, ConfigError, "another signature|is no class"),
        ({"reward": {"type": "exact_match"}}, ConfigError, "scores its episodes by `get_reward`; leave the task's"),
        ({"path": ROOMS.replace("Rooms", "Silent")}, ConfigError, "has no `get_reward`; write one, or give the task"),
        ({"prompt": None}, DataError, "rows.jsonl:. has no `prompt`; name one for all rows"),
    ],
)
def test_what_cannot_be_played_is_refused(
    tmp_path: Path, settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        task(tmp_path, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"demonstrations": "a:b"}, "single answers"), ({"reward": {"type": "source"}}, "last words")],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EnvironmentTask.model_validate({"type": "environment", "path": ROOMS, "data": "x.jsonl"} | settings)


def test_an_episode_tells_its_reward() -> None:
    lines = [json.dumps({"reward": one, "turns": []}) for one in (0.5, None)]
    assert EpisodeReward()([], lines) == [0.5, None]
