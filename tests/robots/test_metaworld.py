"""Meta-World's simulator against the stock environment."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.environments import metaworld
from perdure.curriculum.worlds.control.environments.metaworld_success import SUCCESS
from perdure.curriculum.worlds.control.environments.metaworld_task import task_of
from perdure.curriculum.worlds.control.starts import Environment, Start

pytest.importorskip("metaworld", reason="the extra `robots` is not installed")
pytestmark = [pytest.mark.robots, pytest.mark.filterwarnings("ignore::UserWarning")]

STOCK_STEP = ("stick-pull-v3", "bin-picking-v3", "door-open-v3")
"""Tasks whose success is asked of the stock environment: some with a second object, targets that move, a hinge."""


def environment_of(name: str, **more: Any) -> Environment:
    return Environment("Meta-World/MT1", json.dumps({"env_name": name, **more}))


def simulator_of(name: str) -> metaworld.MetaWorldSimulator:
    return metaworld.make(environment_of(name))


def starts_of(simulator: metaworld.MetaWorldSimulator, count: int, seed: int = 0) -> list[Start]:
    rng = np.random.default_rng(seed)
    return [
        Start(simulator.environment, None, json.dumps(metaworld.random_options(simulator, rng))) for _ in range(count)
    ]


def stock_of(name: str, start: Start) -> tuple[Any, Any]:
    """The stock environment at a start, and its first observation."""
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as CLASSES

    stock = CLASSES[f"{name}-goal-observable"](seed=5)
    options = start.reset_options
    assert options is not None
    stock._last_rand_vec = np.array(options["rand_vec"])
    return stock, stock.reset()[0]


@pytest.mark.parametrize("name", [*SUCCESS, *STOCK_STEP])
def test_success_and_observations_are_the_stock_environments(name: str) -> None:
    """120 steps of the noisy expert, to the last bit; each of the eight succeeds within them, and is still followed."""
    simulator = simulator_of(name)
    (start,) = starts_of(simulator, 1)
    stock, first = stock_of(name, start)
    seen = simulator.reset(0, start).vector
    act, rng = metaworld.expert(simulator, None), np.random.default_rng(1)
    np.testing.assert_allclose(seen[:7], first[:7], atol=2e-4)  # the stock one may be old
    told = []
    for step in range(120):
        action = np.clip(act(0) + rng.normal(0, 0.1, 4), -1, 1).astype(np.float32)
        theirs, _, _, _, info = stock.step(action)
        mine = simulator.step(0, action, 1)
        assert mine.success == bool(info["success"]), step
        told.append(mine.success)
        begin = 18 if step else 36
        assert np.array_equal(simulator.acting(0)[1][:18], theirs[:18]), step
        assert np.array_equal(simulator.acting(0)[1][begin:], theirs[begin:]), step
        assert np.array_equal(mine.observation.vector[:7], theirs[:7].astype(np.float32)), step
        assert np.array_equal(mine.observation.vector[14:17], theirs[36:].astype(np.float32)), step
    assert not told[0]
    assert name in STOCK_STEP or any(told)


def test_the_first_observation_shows_where_the_drawer_is() -> None:
    """The closed drawer lies 0.01 m before its cabinet (drawer.xml), and Meta-World's handle 0.16 m before that."""
    simulator = simulator_of("drawer-open-v3")
    for x in (-0.1, 0.0, 0.1):
        start = Start(simulator.environment, None, json.dumps({"rand_vec": [x, 0.9, 0.0]}))
        vector = simulator.reset(0, start).vector
        np.testing.assert_allclose(vector[4:6], [x, 0.9 - 0.01 - 0.16], atol=1e-6)
        assert np.array_equal(vector[:7], vector[7:14])  # no step before it


def test_the_vector_holds_what_its_docstring_says() -> None:
    """Hand (0, 0, 0), object (.1, 0, 0), goal (.1, .2, 0): relative parts in decimetres."""
    now = np.array([0, 0, 0, 1, 0.1, 0, 0])
    found = metaworld.vector_of(now, now * 2, np.array([0.1, 0.2, 0]))
    relative = [1, 0, 0, 0, 2, 0, 1, 2, 0, 1]
    np.testing.assert_allclose(found, [*now, *(now * 2), 0.1, 0.2, 0, *relative], atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", [*SUCCESS, *STOCK_STEP])
def test_a_reset_depends_on_the_start_alone(name: str) -> None:
    simulator = simulator_of(name)
    one, other = starts_of(simulator, 2, seed=3)
    rng = np.random.default_rng(0)
    first = simulator.reset(0, one).vector
    before = simulator.task.begin(metaworld.rand_vec_of(simulator, one))
    simulator.reset(0, other)
    for _ in range(10):
        simulator.step(0, rng.uniform(-1, 1, 4).astype(np.float32), 5)
    simulator.task.start.cache_clear()
    assert np.array_equal(simulator.reset(1, one).vector, first)
    after = simulator.task.begin(metaworld.rand_vec_of(simulator, one))
    assert after is not before
    assert np.array_equal(after.now.physics, before.now.physics)
    assert all(np.array_equal(a, b) for a, b in zip(after.places, before.places, strict=True))


@pytest.mark.parametrize("name", ["pick-place-v3", "drawer-open-v3", "button-press-v3", "stick-pull-v3"])
def test_a_cached_start_goes_on_bit_for_bit_beside_others(name: str) -> None:
    simulator = simulator_of(name)
    one, other = starts_of(simulator, 2, seed=4)
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 4)).astype(np.float32)

    def alone() -> list[Any]:
        simulator.reset(0, one)
        return [simulator.step(0, action, 5).observation.vector for action in actions]

    def beside() -> list[Any]:
        simulator.reset(0, one)
        simulator.reset(1, other)
        found = []
        for action in actions:
            simulator.step(1, -action, 3)
            found.append(simulator.step(0, action, 5).observation.vector)
            simulator.acting(0)  # looking changes nothing
        return found

    first = alone()
    assert np.array_equal(alone(), first)
    assert np.array_equal(beside(), first)


def test_a_held_action_is_so_many_steps() -> None:
    simulator = simulator_of("pick-place-v3")
    (start,) = starts_of(simulator, 1)
    action = np.array([0.3, -0.2, 0.1, 1], np.float32)
    simulator.reset(0, start)
    held = simulator.step(0, action, 5)
    simulator.reset(0, start)
    one_by_one = [simulator.step(0, action, 1) for _ in range(5)]
    assert held.steps == 5
    assert np.array_equal(held.observation.vector, one_by_one[-1].observation.vector)


@pytest.mark.parametrize("name", ["pick-place-v3", "drawer-open-v3", "drawer-close-v3", "button-press-v3", "reach-v3"])
def test_experts_succeed_with_held_actions(name: str) -> None:
    simulator = simulator_of(name)
    act = metaworld.expert(simulator, None)
    for start in starts_of(simulator, 4):
        simulator.reset(0, start)
        assert any(simulator.step(0, act(0), 5).success for _ in range(24)), start


def test_the_stock_step_ends_at_meta_worlds_limit() -> None:
    simulator = simulator_of("door-open-v3")
    (start,) = starts_of(simulator, 1)
    simulator.reset(0, start)
    steps = [simulator.step(0, np.zeros(4, np.float32), 200) for _ in range(3)]
    assert [one.steps for one in steps] == [200, 200, 100]
    assert [one.ended for one in steps] == [False, False, True]


def test_96_episodes_of_five_tasks_need_little_memory() -> None:
    code = """
import json, resource, numpy as np
from perdure.curriculum.worlds.control.environments import metaworld
from perdure.curriculum.worlds.control.starts import Environment, Start
rng = np.random.default_rng(0)
for name in ("pick-place-v3", "drawer-open-v3", "drawer-close-v3", "button-press-v3", "reach-v3"):
    simulator = metaworld.make(Environment("Meta-World/MT1", json.dumps({"env_name": name})))
    start = Start(simulator.environment, None, json.dumps(metaworld.random_options(simulator, rng)))
    for slot in range(96):
        simulator.reset(slot, start)
        simulator.step(slot, np.zeros(4, np.float32), 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 1.5


def test_a_grid_is_of_the_objects_x_and_y() -> None:
    simulator = simulator_of("pick-place-v3")
    found = np.array([one["rand_vec"] for one in metaworld.grid_options(simulator, (4, 4))])
    assert len(np.unique(found, axis=0)) == 16
    np.testing.assert_allclose(np.unique(found[:, 0]), [-0.1, -0.1 / 3, 0.1 / 3, 0.1])
    np.testing.assert_allclose(np.unique(found[:, 1]), [0.6, 0.6 + 0.1 / 3, 0.7 - 0.1 / 3, 0.7])
    np.testing.assert_allclose(found[:, 2:], np.tile([0.02, 0, 0.85, 0.175], (16, 1)))
    between = metaworld.between_options(simulator, (4, 4), np.random.default_rng(0))["rand_vec"]
    assert -0.1 <= between[0] <= 0.1 and 0.6 <= between[1] <= 0.7
    np.testing.assert_allclose(between[2:], [0.02, 0, 0.85, 0.175])


def test_random_starts_are_ones_that_meta_world_accepts() -> None:
    """The stock `reset` would look for another start without end; object and goal are 0.15 m apart at least."""
    simulator = simulator_of("push-v3")
    found = np.array([one.reset_options["rand_vec"] for one in starts_of(simulator, 300)])  # type: ignore[index]
    assert np.linalg.norm(found[:, :2] - found[:, 3:5], axis=1).min() >= 0.15
    near = Start(simulator.environment, None, json.dumps({"rand_vec": [0, 0.7, 0.02, 0, 0.8, 0.015]}))
    with pytest.raises(ConfigError, match=r"less than 0.15 m apart"):
        simulator.reset(0, near)


def test_a_seed_draws_one_start() -> None:
    simulator = simulator_of("reach-v3")
    one, same, other = (Start(simulator.environment, seed) for seed in (1, 1, 2))
    assert metaworld.identity(simulator, one) == metaworld.identity(simulator, same)
    assert metaworld.identity(simulator, one) != metaworld.identity(simulator, other)
    written = Start(simulator.environment, None, json.dumps({"rand_vec": metaworld.rand_vec_of(simulator, one)}))
    assert metaworld.identity(simulator, written) == metaworld.identity(simulator, one)


def test_experts_of_ones_own_see_the_stock_environment() -> None:
    simulator = simulator_of("drawer-open-v3")
    starts = starts_of(simulator, 2)
    for slot, start in enumerate(starts):
        simulator.reset(slot, start)
    act = metaworld.expert(simulator, "tests.robots.own_expert:drawer")
    for slot, start in enumerate(starts):
        assert start.reset_options is not None
        assert act(slot)[0] == pytest.approx(start.reset_options["rand_vec"][0], abs=1e-6)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (Environment("Meta-World/MT1"), "needs `env_name`"),
        (environment_of("drawer-opn-v3"), "did you mean 'drawer-open-v3'"),
        (environment_of("drawer-open"), "did you mean 'drawer-open-v3'"),
        (Environment("Meta-World/MT10"), "did you mean 'Meta-World/MT1'"),
        (environment_of("reach-v3", widht=64), "did you mean 'width'"),
        (environment_of("reach-v3", width="64"), "it must be like 224"),
        (Environment("Meta-World/MT1", '{"env_name": "reach-v3"}', ("a:B",)), "takes no `wrappers`"),
    ],
)
def test_bad_environments_are_refused(environment: Environment, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        metaworld.make(environment)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rand_vec": [0.0]}, "[3 numbers]"),
        ({"rand_vec": [0.0, 0.9, None]}, "[3 numbers]"),
        ({"x": 1}, '{"x": 1}'),
        ({"rand_vec": [0.0, 0.5, 0.0]}, "from [-0.1, 0.9, 0.0] to [0.1, 0.9, 0.0]"),
    ],
)
def test_bad_starts_are_refused(options: dict[str, Any], said: str) -> None:
    simulator = simulator_of("drawer-open-v3")
    with pytest.raises(ConfigError) as caught:
        simulator.reset(0, Start(simulator.environment, None, json.dumps(options)))
    assert said in str(caught.value)


@pytest.mark.parametrize(("counts", "said"), [((4,), "x and y"), ((4, 4), "y is always 0.9")])
def test_bad_grids_are_refused(counts: tuple[int, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        metaworld.grid_options(simulator_of("drawer-open-v3"), counts)


def test_a_drawer_goes_on_one_line() -> None:
    found = metaworld.grid_options(simulator_of("drawer-open-v3"), (3, 1))
    assert [one["rand_vec"] for one in found] == [[-0.1, 0.9, 0.0], [0.0, 0.9, 0.0], [0.1, 0.9, 0.0]]


def test_pictures_show_the_episode() -> None:
    simulator = metaworld.make(environment_of("drawer-open-v3", width=64, height=48))
    one, other = starts_of(simulator, 2)
    simulator.reset(0, one)
    simulator.reset(1, other)
    try:
        first = simulator.render(0)
    except ConfigError as error:
        pytest.skip(str(error))
    assert first.shape == (48, 64, 3) and first.dtype == np.uint8 and first.std() > 10
    assert not np.array_equal(simulator.render(1), first)
    assert np.array_equal(simulator.render(0), first)
    assert task_of("drawer-open-v3") is simulator.task


def test_an_unknown_camera_is_refused() -> None:
    simulator = metaworld.make(environment_of("reach-v3", camera_name="corner22"))
    simulator.reset(0, starts_of(simulator, 1)[0])
    with pytest.raises(ConfigError, match="did you mean 'corner2'"):
        simulator.render(0)
