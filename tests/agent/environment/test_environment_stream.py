"""The environment keeps gymnasium's contract, and an episode is a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.spaces import MultiDiscrete
from gymnasium.utils.env_checker import check_env

from perdure.agent.environment.episodes import Episodes, NullView, episode, with_strategy
from perdure.agent.environment.observation import NAMES, ObservationVector, observe
from perdure.agent.environment.stream import Stream
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, read_state
from perdure.agent.setup import resume
from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.strategies import PythonStrategy
from tests.agent.environment.toy import toy

METHODS = ("sft", "rl", "tilt")
ACTIONS = [(0, 2), (1, 1), (0, 2)]
"""`sft` and `rl`, and `sft` again, which the last task's want of demonstrations turns into `rl`."""


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Stream]:
    made = Stream(toy(), methods=METHODS, folder=tmp_path)
    yield made
    made.close()


def run_through(
    env: Stream, seed: int, actions: Sequence[tuple[int, int]] = ACTIONS, **options: Any
) -> tuple[list[ObservationVector], list[float], list[dict[str, Any]]]:
    observation, info = env.reset(seed=seed, options=options)
    seen, rewards, told = [observation], [], [info]
    for action in actions:
        observation, reward, over, cut, info = env.step(np.array(action))
        seen, rewards, told = [*seen, observation], [*rewards, reward], [*told, info]
        assert not cut
        assert over == (len(rewards) == len(actions))
    return seen, rewards, told


def record_of(folder: Path) -> RunState:
    return read_state(read_journal(folder / "journal.jsonl"))


def test_it_keeps_the_contract_of_gymnasium(env: Stream) -> None:
    check_env(env)


def test_the_same_seed_and_actions_give_the_same_run_whatever_was_run_before(env: Stream, tmp_path: Path) -> None:
    first, first_rewards, first_told = run_through(env, 3)
    run_through(env, 4, [(2, 2), (2, 2), (2, 2)])
    for again in (env, Stream(toy(), methods=METHODS, folder=tmp_path)):
        seen, rewards, told = run_through(again, 3)
        np.testing.assert_array_equal(np.stack(seen), np.stack(first))
        assert rewards == first_rewards
        assert [one["scores"] for one in told] == [one["scores"] for one in first_told]
    other, _, _ = run_through(env, 5)
    assert not np.array_equal(np.stack(other), np.stack(first))


def test_the_generic_probe_is_that_of_the_seed_whatever_was_run_before(tmp_path: Path) -> None:
    """`budget.prompts: generic` counts it, so that the cap itself would depend on the episodes before."""
    budget = {"kl": 0.3, "every": 2, "num_prompts": 20, "prompts": "generic"}

    def readings(env: Stream, folder: Path) -> list[float]:
        run_through(env, 3, keep=folder)
        return [row.readings[-1].kl.value for row in record_of(folder).rows]

    used, new = (Stream(toy(budget=budget), methods=METHODS, folder=tmp_path) for _ in range(2))
    run_through(used, 4)
    assert readings(used, tmp_path / "used") == readings(new, tmp_path / "new")


def test_a_score_that_was_asked_in_part_is_marked(tmp_path: Path) -> None:
    """Of 200 clothes 64 are enough where no answer changes; the base is asked in full."""
    clothes = {"type": "images", "images": "clothes", "rule": "label", "heldout": 200}
    more: dict[str, Any] = {"train": {"learning_rate": 1e-9, "max_steps": 1}}
    more["benchmarks"] = [{"type": "task", "name": "fashion", "task": clothes}]
    made = Stream(toy(evaluation={"items": "adaptive", "precision": 20}, **more), methods=METHODS, folder=tmp_path)
    _, info = made.reset(seed=3)
    assert info["asked"] == {}
    info = made.step(np.array((0, 2)))[-1]
    assert set(info["asked"]) == {"fashion"}
    found = info["asked"]["fashion"]
    assert (found["n"], found["of"]) == (64, 200) and found["low"] <= found["high"]
    made.close()


SEEN: list[ObservationVector] = []
"""What `Repeating` saw."""


class Repeating:
    """Decides as `ACTIONS` came to be, and keeps what it could know."""

    def choose(self, situation: Situation) -> Decision:
        SEEN.append(observe(situation))
        method, share = [("sft", 1.0), ("rl", 0.5), ("rl", 1.0)][situation.number - 1]
        return Decision(method, "as before", share=share)  # type: ignore[arg-type]


def test_an_episode_is_a_run(env: Stream, tmp_path: Path) -> None:
    # The same decisions by a strategy in a run end with the same weights, and the strategy sees what a learner saw.
    SEEN.clear()
    seen, _, _ = run_through(env, 3, keep=tmp_path / "kept")
    strategy = PythonStrategy(type="python", path=f"{__name__}:Repeating")
    run_curriculum(Episodes().start(episode(with_strategy(strategy, toy()), 3, shuffle=False), tmp_path / "run"))
    kept, run = record_of(tmp_path / "kept"), record_of(tmp_path / "run")
    assert [row.weights_sha256 for row in kept.rows] == [row.weights_sha256 for row in run.rows]
    assert [row.scores for row in kept.rows] == [row.scores for row in run.rows]
    assert [row.cap for row in kept.rows] == [row.cap for row in run.rows]
    assert kept.status == run.status == "finished"
    np.testing.assert_array_equal(np.stack(seen[:-1]), np.stack(SEEN))


def test_the_observation_says_what_happened(env: Stream, tmp_path: Path) -> None:
    seen, rewards, told = run_through(env, 3, keep=tmp_path / "kept")
    rows = record_of(tmp_path / "kept").rows
    entries = [dict(zip(NAMES, map(float, one), strict=True)) for one in seen]
    assert told[0]["names"] == tuple(NAMES)
    assert [round(one["stage"], 4) for one in entries] == [0.3333, 0.6667, 1.0, 1.0]
    assert [one["demonstrations"] for one in entries] == [1, 1, 0, 0]
    value = [{name: value.value for name, value in row.scores.items()} for row in rows]
    assert entries[1]["gain"] == pytest.approx(value[1]["parity"] - value[0]["parity"], abs=1e-6)
    assert entries[2]["drop"] == pytest.approx(value[1]["parity"] - value[2]["parity"], abs=1e-6)
    assert entries[3]["drop"] == pytest.approx(
        (value[2]["parity"] - value[3]["parity"] + value[2]["fives"] - value[3]["fives"]) / 2, abs=1e-6
    )
    assert entries[3]["benchmark_drop_so_far"] == pytest.approx(value[0]["fashion"] - value[3]["fashion"], abs=1e-6)
    tasks = ("parity", "fives", "threes")
    rise = sum(value[3][name] - value[0][name] for name in tasks) / 3
    assert sum(rewards) == pytest.approx(rise - (value[0]["fashion"] - value[3]["fashion"]))


def test_a_method_that_cannot_learn_the_task_is_replaced_and_noted(env: Stream, tmp_path: Path) -> None:
    _, _, told = run_through(env, 3, keep=tmp_path / "kept")
    assert [one["method"] for one in told[1:]] == ["sft", "rl", "rl"]
    assert [one["replaced"] for one in told[1:]] == [None, None, "sft"]
    masks = [one["action_mask"] for one in told]
    assert [mask[0].tolist() for mask in masks] == [[1, 1, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]]
    space = env.action_space
    assert isinstance(space, MultiDiscrete)
    assert all(space.sample(mask=masks[2])[0] > 0 for _ in range(20))
    reason = record_of(tmp_path / "kept").rows[3].reason
    assert reason is not None
    assert "sft cannot learn this task" in reason


def test_the_weights_of_the_reward_are_the_curriculums_and_arguments_win(env: Stream, tmp_path: Path) -> None:
    _, _, told = run_through(env, 3)
    own = toy(environment={"gain_weight": 2.0, "forgetting_weight": 9.0})
    weighted = Stream(own, methods=METHODS, folder=tmp_path, forgetting_weight=0.5, benchmark_weight=3)
    _, rewards, _ = run_through(weighted, 3)
    expected = [2 * one["gain"] - 0.5 * one["forgetting"] - 3 * one["benchmark_drop"] for one in told[1:]]
    assert rewards == pytest.approx(expected)


def test_a_shuffled_run_has_an_order_of_its_own(tmp_path: Path) -> None:
    env = Stream(toy(), methods=METHODS, folder=tmp_path, shuffle=True)
    orders = [env.reset(seed=seed)[1]["stages"] for seed in range(6)]
    assert len(set(orders)) > 1
    assert {tuple(sorted(order)) for order in orders} == {("fives", "parity", "threes")}
    assert env.reset(seed=2)[1]["stages"] == orders[2]
    env.close()


def test_no_run_folder_stays_unless_it_is_kept(env: Stream, tmp_path: Path) -> None:
    env.reset(seed=0)
    assert len(list(tmp_path.iterdir())) == 1
    env.reset(seed=0)
    assert len(list(tmp_path.iterdir())) == 1
    env.reset(seed=0, options={"keep": tmp_path / "kept"})
    env.close()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_kept_run_that_was_not_finished_says_why_it_cannot_go_on(env: Stream, tmp_path: Path) -> None:
    env.reset(seed=3, options={"keep": tmp_path / "kept"})
    env.step(np.array([0, 2]))
    env.close()
    assert [row.stage for row in record_of(tmp_path / "kept").rows if row.committed] == [0, 1]
    with pytest.raises(RunError, match="gymnasium environment"):
        run_curriculum(resume(tmp_path / "kept", NullView()))


def test_what_makes_no_sense_is_refused(env: Stream, tmp_path: Path) -> None:
    with pytest.raises(ResetNeeded):
        env.step(np.array([0, 0]))
    run_through(env, 0)
    with pytest.raises(ResetNeeded):
        env.step(np.array([0, 0]))
    with pytest.raises(ConfigError, match="keep"):
        env.reset(options={"kept": 1})
    with pytest.raises(ConfigError, match=r"2\*\*32"):
        env.reset(seed=2**32)
    with pytest.raises(ConfigError, match="overrides"):
        Stream(toy(), ["seed=1"])
    with pytest.raises(ConfigError, match="weight"):
        Stream(toy(), gain_weight=-1)
    with pytest.raises(CurriculumError, match="no shipped curriculum"):
        Stream("no-such-stream")
    with pytest.raises(ConfigError, match="none of sft"):
        Stream(toy(), methods=["sft"], folder=tmp_path).reset(seed=0)


def test_the_shipped_curriculum_is_what_is_run_where_none_is_named() -> None:
    env = Stream()
    assert env.action_space == MultiDiscrete([7, 3])
    shipped = read_curriculum("stream-gym", ["budget.kl=0.1"]).curriculum
    assert shipped.budget.kl == 0.1
    assert Stream("stream-gym", ["budget.kl=0.1"]).methods == env.methods
