"""An episode as a clip: the policy plays it, then its actions are taken again from the same start, and drawn."""

from collections.abc import Iterator

from perdure.agent.film.clip import Clip, Picture
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import show_error
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.environments.contract import Simulator
from perdure.curriculum.worlds.control.environments.registry import simulator_of
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.rewards import SUCCESS
from perdure.curriculum.worlds.control.starts import Start


def make_clip(policy: ControlPolicy, item: Item, *, temperature: float, seed: int) -> Clip:
    """A picture before the first decision and after each; see `perdure.agent.film.clip.MakeClip`.

    Raises:
        ConfigError: the environment cannot be drawn here, or goes otherwise the second time.
    """
    start: Start = item.prompt
    (played,) = policy.play([start], temperature=temperature, seed=seed)
    pictures = tuple(_drawn(policy, start, played.episode))
    captions = [f"decision {number}" if number else "start" for number in range(len(pictures))]
    end = played.episode.fault or ("success" if played.reward >= SUCCESS else "failed")
    return Clip(pictures, (*captions[:-1], f"{captions[-1]}: {end}"))


def _drawn(policy: ControlPolicy, start: Start, episode: Episode) -> Iterator[Picture]:
    simulator, environment = simulator_of(start.environment), start.environment
    if not len(episode.actions):
        raise ConfigError(f"{environment.title} failed before its first decision: {episode.fault}")
    simulator.reset(0, start)
    yield _picture(simulator, environment.title)
    worked = len(episode.actions) - (episode.fault is not None)
    for chosen_D, reward in zip(episode.actions[:worked], episode.rewards, strict=False):
        step = simulator.step(0, policy.actions.decode(chosen_D), environment.action_repeat)
        if step.reward != reward:
            raise ConfigError(
                f"{environment.title} went otherwise when the same actions were taken from the same start, so that "
                "no picture would show the episode that was scored"
            )
        yield _picture(simulator, environment.title)


def _picture(simulator: Simulator, title: str) -> Picture:
    try:
        return simulator.render(0)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{title} cannot be drawn here: {show_error(error)}") from error
