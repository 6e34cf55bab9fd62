"""The reward of an episode: success, a return above a threshold, or the user's own function."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.control.code_kinds import SUCCESS as SUCCESS_CODE
from perdure.curriculum.worlds.control.episodes import Episode, reward_in
from perdure.curriculum.worlds.control.starts import Environment

SUCCESS = 0.5
"""The reward from which an episode is a success, which alone is imitated."""

DIFFERENT = 5
"""Reasons that are told apart."""

THRESHOLD = re.compile(r"return *(>=?) *(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$")


def reward_of(environment: Environment, episode: Episode) -> float:
    """The reward of an episode; 0 for one that failed to end.

    Raises:
        ConfigError: the user's function fails.
    """
    if episode.fault is not None:
        return 0.0
    threshold = THRESHOLD.match(environment.success)
    if threshold:
        least = float(threshold[2])
        return float(episode.total >= least if threshold[1] == ">=" else episode.total > least)
    if environment.success != "info":
        return _own(environment, episode)
    return float(bool(episode.success))


def _own(environment: Environment, episode: Episode) -> float:
    try:
        value = float(load_function(environment.success, SUCCESS_CODE)(episode))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"success {environment.success!r} failed: {show_error(error)}") from error
    if not math.isfinite(value):
        raise ConfigError(f"success {environment.success!r} returned {value}; it must be a finite number")
    return value


class EpisodeReward:
    """The reward of a task: that which the text of an episode says. `unscored` counts episodes that failed to end."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.unscored: Counter[str] = Counter()

    def count_fault(self, fault: str) -> None:
        """Count an episode that failed, by why; from the `DIFFERENT`th reason on, under one name."""
        _, _, why = fault.partition(": ")
        known = why in self.unscored or len(self.unscored) < DIFFERENT
        self.unscored[why if known else "failed otherwise"] += 1

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        """The rewards of the episodes; 0 for an empty text, the demonstration of a start where none succeeded."""
        for text in filter(None, completions):
            fault = json.loads(text).get("fault")
            if fault is not None:
                self.count_fault(fault)
        return [reward_in(text) if text else 0.0 for text in completions]
