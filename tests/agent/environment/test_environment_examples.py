"""The examples run: a strategy is trained, saved, raced, and used in a curriculum."""

from pathlib import Path

import numpy as np
import pytest

from examples.learned import LinearPolicy, add_step, features, load_linear_policy, uniform_policy
from examples.race import FIRST_SEED, RaceResult, race, race_table
from examples.train_strategy import Settings, Transition, fit_baseline, gradient, returns_to_go, train_policy
from perdure.agent.environment.episodes import Episodes, episode, with_strategy
from perdure.agent.environment.observation import NAMES
from perdure.agent.environment.stream import Stream
from perdure.agent.loop import run_curriculum
from perdure.budget.errors import ConfigError
from perdure.curriculum.strategies import PythonStrategy
from tests.agent.environment.toy import toy


def test_a_strategy_is_trained_saved_and_used_in_a_run(tmp_path: Path) -> None:
    env = Stream(toy(), methods=("sft", "rl"), shares=(0.5, 1.0), folder=tmp_path)
    trained = list(train_policy(env, Settings(runs=3, batch=2)))
    env.close()
    assert [figures["runs"] for _, figures in trained] == [2, 3]
    policy = trained[-1][0]
    assert np.isfinite(policy.weights_AF).all()
    policy.save(tmp_path / "learned.json")
    np.testing.assert_array_equal(load_linear_policy(tmp_path / "learned.json").weights_AF, policy.weights_AF)

    args = {"file": str(tmp_path / "learned.json")}
    section = PythonStrategy(type="python", path="examples.learned:strategy", args=args)
    life = Episodes().start(episode(with_strategy(section, toy()), 0, shuffle=False), tmp_path / "run")
    run_curriculum(life)
    rows = life.logger.state.rows[1:]
    assert [row.method in ("sft", "rl") for row in rows] == [True, True, True]
    assert rows[2].method == "rl"  # its task has no demonstrations
    assert rows[0].evidence.keys() == NAMES.keys()
    assert {one.method for one in rows[0].candidates} == {"sft", "rl"}


def test_a_race_is_a_table(tmp_path: Path) -> None:
    uniform_policy(("sft", "rl"), (1.0,)).save(tmp_path / "learned.json")
    found = race(tmp_path / "learned.json", toy(), range(FIRST_SEED, FIRST_SEED + 1))
    assert list(found) == ["learned", "sft", "rl", "chance", "rule", "probe", "bandit"]
    # Even odds everywhere: the first that can learn the task is taken, as by the constant `sft`.
    assert found["learned"][0].value == found["sft"][0].value
    assert len(race_table(found)) == 2 + len(found)


def test_the_best_value_stands_first_and_differences_are_of_the_same_run() -> None:
    def ended(value: float) -> RaceResult:
        return RaceResult(value, 0.5, 0.0, 0.1, 1.0)

    # 0.375 twice against 0.25 and 0.5: the means are equal, and the differences are 0.125 and -0.125.
    alike, mixed = [ended(0.375), ended(0.375)], [ended(0.25), ended(0.5)]
    lines = race_table({"learned": mixed, "other": alike, "best": [ended(1), ended(1)]})
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| best", "| learned", "| other"]
    # Student's interval at one degree of freedom: 12.706 * 0.1768 / sqrt(2) = 1.588 about 0.
    assert "0.000 [-1.588, 1.588] |" in lines[4]


def test_the_gradient_moves_towards_what_brought_more() -> None:
    # Two runs of one step each, which differ in the method alone: the first method brought 1, the second 0. Where 0.5
    # is expected the advantages are +1 and -1 (0.5 over the spread of 0.5), so that the first row of the gradient is
    # (1 * 0.5 + -1 * -0.5) / 2 = 0.5 times the features.
    policy = uniform_policy(("sft", "rl"), (1.0,))
    seen = features(np.ones(len(NAMES), np.float32))
    learnable = np.ones(2, np.int8)
    runs = [[Transition(seen, learnable, (0, 0), 1.0)], [Transition(seen, learnable, (1, 0), 0.0)]]
    half = 0.5 * np.eye(len(seen))[-1]
    found = gradient(policy, runs, half, entropy=0.0)
    np.testing.assert_allclose(found, np.outer([0.5, -0.5, 0.0], seen))
    surer = add_step(policy, found).probabilities(seen, learnable)[0]
    assert surer[0] > 0.5
    # With the entropy alone, one that is sure is drawn back.
    flat = [[Transition(seen, learnable, (0, 0), 0.0)], [Transition(seen, learnable, (0, 0), 0.0)]]
    back = gradient(add_step(policy, found), flat, 0 * half, entropy=1.0)
    assert (back @ seen)[0] < 0 < (back @ seen)[1]


def test_what_is_expected_is_what_was_to_come() -> None:
    # Rewards 1, 2 and 4 leave 7, 6 and 4 to come. Without a penalty three observations are fitted exactly.
    learnable = np.ones(1, np.int8)
    life = [Transition(np.eye(3)[index], learnable, (0, 0), reward) for index, reward in enumerate((1.0, 2.0, 4.0))]
    np.testing.assert_allclose(returns_to_go(life), [7, 6, 4])
    np.testing.assert_allclose(fit_baseline([life], 0.0), [7, 6, 4])
    np.testing.assert_allclose(fit_baseline([life], 1.0), [3.5, 3, 2])


def test_a_file_of_another_observation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "learned.json"
    LinearPolicy(("sft",), (1.0,), np.zeros((2, 3))).save(path)
    with pytest.raises(ConfigError, match="train it again"):
        load_linear_policy(path)
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no learned strategy"):
        load_linear_policy(path)
