"""Episodes of a scripted expert: what it does is executed with noise, what it meant to do is the label."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from gymnasium import spaces

from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.environments.registry import adapter_of, simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.playing import EpisodeError, checked, checked_step, limited, listening
from perdure.curriculum.worlds.control.starts import Start
from perdure.curriculum.worlds.control.tasks import Expert


def expert_episodes(config: Expert, starts: Sequence[Start], actions: Actions, *, seed: int) -> list[Episode]:
    """One episode from each start; the noise of each follows from the seed and the start alone.

    Raises:
        ConfigError: there is no such expert.
    """
    with listening():
        return [_episode(config, start, actions, Random(f"expert/{seed}/{start.identity}")) for start in starts]


def _episode(config: Expert, start: Start, actions: Actions, rng: Random) -> Episode:
    environment = start.environment
    simulator = simulator_of(environment)
    act = adapter_of(environment.id).expert(simulator, config.expert)
    noise = np.random.default_rng(rng.getrandbits(64))
    seen: list[Observation] = []
    chosen: list[Any] = []
    rewards: list[float] = []
    steps, success, fault, info = 0, None, None, {}
    try:
        with limited(environment.seconds):
            now = checked(simulator.reset(0, start))
        for _ in range(environment.horizon):
            with limited(environment.seconds):
                meant = act(0)
                if meant is None:
                    raise EpisodeError("the expert gives up")
                label_D = actions.encode(meant)
                step = simulator.step(0, _noisy(meant, actions, config.noise, noise), environment.action_repeat)
            checked_step(environment, step)
            seen.append(now)
            chosen.append(label_D)
            rewards.append(step.reward)
            now, steps, success, info = step.observation, steps + step.steps, step.success, step.info
            if step.ended:
                break
    except EpisodeError as error:
        fault, success = f"decision {len(seen) + 1}: {error}", False
    done_TD = np.array(chosen, np.int64).reshape(-1, len(actions.sizes))
    return Episode(tuple(seen), done_TD, np.array(rewards, np.float64), steps, success, info, fault)


def _noisy(action: Any, actions: Actions, noise: float, rng: np.random.Generator) -> Any:
    """A continuous action with normal noise, of a spread that is a share of its range; else now and then a random one.

    Continuous actions are executed as meant, not as the nearest of their values.
    """
    if not noise:
        return actions.decode(actions.encode(action)) if actions.values is None else action
    space = actions.space
    if not isinstance(space, spaces.Box):
        chosen_D = actions.encode(action)
        if rng.random() < noise:
            chosen_D = rng.integers(0, np.array(actions.sizes))
        return actions.decode(chosen_D)
    spread = noise * (space.high.astype(np.float64) - space.low)
    return np.clip(np.asarray(action) + rng.normal(0, 1, space.shape) * spread, space.low, space.high).astype(
        space.dtype
    )
