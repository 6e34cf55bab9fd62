"""Meta-World in the control world: steps and resets a second, what one RL step is spent on, and memory.

Seconds are those of the processor, of one thread. As a script it prints the memory of 96 episodes of each task, in MB.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.agent.prepare import Ready, prepare
from perdure.agent.run.log import NullView
from perdure.agent.worlds.job import update_job
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.worlds.control.environments import metaworld
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.playing import SLOTS
from perdure.curriculum.worlds.control.starts import Environment, Start
from tests.bench.bare import peak_megabytes
from tests.bench.figures import Figure, Options, Report, Series, Target, against, alone
from tests.bench.processes import run

TASKS = ("pick-place-v3", "drawer-open-v3", "drawer-close-v3", "button-press-v3", "reach-v3")
DECISIONS, HELD, RESETS = 100, 5, 2000

NOTE = (
    f"Random actions, each held for {HELD} steps; stock is Meta-World's own environment, with its reward, and the same "
    "actions from the same starts. A share of an RL step: 96 episodes of `drawers` and the clipped steps on them, of "
    "which the simulator's part is measured by the same actions again without a policy, and one reading of the KL."
)


def measure(_: Options) -> Report:
    """All figures; none without the extra `robots`."""
    try:
        speeds = [_speed(name) for name in TASKS]
    except ConfigError as error:
        return Report(notes=(f"Not measured: {error}",))
    resets = alone("resets from cached starts", _resets(), Target("at least", 10_000, "/s"))
    _, printed = run([sys.executable, "-W", "ignore", "-m", "tests.bench.control"])
    memory = Series((float(printed.split()[-1]),), "MB")
    return Report(
        (*speeds, resets, *_shares(), alone("96 episodes of each of 5 tasks", memory, Target("at most", 1500, "MB"))),
        (NOTE,),
    )


def _simulator(name: str) -> metaworld.MetaWorldSimulator:
    return metaworld.make(Environment("Meta-World/MT1", json.dumps({"env_name": name})))


def _starts(simulator: metaworld.MetaWorldSimulator, count: int) -> list[Start]:
    rng = np.random.default_rng(0)
    return [
        Start(simulator.environment, None, json.dumps(metaworld.random_options(simulator, rng))) for _ in range(count)
    ]


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _speed(name: str) -> Figure:
    simulator = _simulator(name)
    (start,) = _starts(simulator, 1)
    actions = np.random.default_rng(0).uniform(-1, 1, (DECISIONS, 4)).astype(np.float32)
    simulator.reset(0, start)
    steps = 0

    def ours() -> None:
        nonlocal steps
        steps = sum(simulator.step(0, action, HELD).steps for action in actions)

    fast, slow = [], []
    for _ in range(3):
        simulator.reset(0, start)
        took = _seconds(ours)
        fast.append(steps / took)
        slow.append(steps / _stock_seconds(name, start, actions, steps))
    target = Target("at least", 3000, "/s")
    perdure, other = Series(tuple(fast), "/s"), Series(tuple(slow), "/s")
    return Figure(f"{name}, steps", perdure, other, perdure, target)


def _stock_seconds(name: str, start: Start, actions: NDArray[np.float32], steps: int) -> float:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

    stock = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{name}-goal-observable"](seed=0)
    options = start.reset_options
    assert options is not None, "`_starts` gives them"
    stock._last_rand_vec = np.array(options["rand_vec"])
    stock.reset()
    return _seconds(lambda: [stock.step(actions[step // HELD]) for step in range(steps)])


def _resets() -> Series:
    simulator = _simulator(TASKS[0])
    starts = _starts(simulator, 16)
    for start in starts:
        simulator.reset(0, start)
    rounds = RESETS // len(starts)
    took = [
        _seconds(lambda: [simulator.reset(0, one) for _ in range(rounds) for one in starts]) for _ in range(3)
    ]  # fmt: skip
    return Series(tuple(rounds * len(starts) / one for one in took), "/s")


def _shares() -> list[Figure]:
    """The shares of one RL step, by a base of few steps: the episodes are as long as those of a good one."""
    settings = ["model.pretrain.max_steps=200", "train.rl.max_steps=6", "train.rl.num_iterations=3"]
    curriculum = read_curriculum("drawers", settings).curriculum
    ready = prepare(curriculum, NullView())
    world: Any = ready.world
    starts = [item.prompt for item in ready.tasks[0].train for _ in range(SLOTS // len(ready.tasks[0].train))]
    found: list[Any] = []
    playing = _seconds(lambda: found.extend(world.policy.play(starts, temperature=1.0, seed=0)))
    simulating = _seconds(lambda: _again(found, starts, world.policy.actions))
    learning = _learning(curriculum, ready) / 2 - playing
    reading = _reading(world, starts[:: SLOTS // len(ready.tasks[0].train)])
    whole = playing + max(learning, 0.0) + reading
    parts = {"simulator": simulating, "policy": playing - simulating + max(learning, 0.0), "monitor": reading}
    bounds = {"simulator": ("at least", 50), "policy": ("at most", 50), "monitor": ("at most", 20)}
    return [
        against(f"an RL step: {name}", Series((took,), "s"), Series((whole,), "s"), Target(bound, most, "%"))  # type: ignore[arg-type]
        for (name, took), (bound, most) in zip(parts.items(), bounds.values(), strict=True)
    ]


def _again(played: list[Any], starts: list[Start], actions: Any) -> None:
    for one, start in zip(played, starts, strict=True):
        simulator = simulator_of(start.environment)
        simulator.reset(0, start)
        for chosen_D in one.episode.actions:
            simulator.step(0, actions.decode(chosen_D), start.environment.action_repeat)


def _learning(curriculum: Any, ready: Ready) -> float:
    """Seconds of two batches of RL, playing included."""
    world: Any = ready.world
    job = update_job(
        curriculum, ready.tasks, world.policy, 1, curriculum.method("rl"),
        seed=0, folder=Path(), watch=lambda _: False, controller=None,
    )  # fmt: skip
    return _seconds(lambda: world.update(job))


def _reading(world: Any, starts: list[Start]) -> float:
    with TemporaryDirectory() as scratch:
        world.prepare_base({"task": starts}, Path(scratch), seed=0)
        return _seconds(lambda: world.measure(["task"]))


def main() -> None:
    """Reset and step 96 episodes of each task, and print the most memory that it took."""
    for name in TASKS:
        simulator = _simulator(name)
        (start,) = _starts(simulator, 1)
        for slot in range(SLOTS):
            simulator.reset(slot, start)
            simulator.step(slot, np.zeros(4, np.float32), 1)
    print(peak_megabytes())


if __name__ == "__main__":
    main()
