"""The generic probe of the control world: starts from which the base plays what it likes, without any old data.

The environments are those of the stream, which are at hand, from random starts of no task; what the base is told there
is an instruction from the episodes that it imitated, whether it fits the environment or not. So the states are those of
other behaviour than the tasks ask for, under each task that the base knows by its words. No environment, start or
benchmark of what must be kept is used. Where the base knows no instruction (it was loaded, or nothing is said to it)
the environments say their own, and the probe is close to the tasks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from random import Random

from perdure.curriculum.worlds.control.draw import random_starts
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.known import environment_of
from perdure.curriculum.worlds.control.starts import Start
from perdure.curriculum.worlds.control.tasks import Gymnasium

INSTRUCTIONS = 4
"""Instructions that are drawn, at most: each needs a simulator of its own in each environment."""


def neutral_starts(tasks: Sequence[Gymnasium], imitated: Sequence[Episode], count: int, seed: int) -> list[Start]:
    """`count` starts: the environments of the tasks take turns, and in each the instructions."""
    found = {environment_of(one): one for one in tasks}
    told: list[str | None] = [*known_instructions(imitated, seed)] or [None]

    def of_one(config: Gymnasium) -> Iterator[Start]:
        environment = environment_of(config)
        starts = random_starts(config, environment, seed, "neutral", environment.key)
        for start, words in zip(starts, cycle(told), strict=False):
            yield start if words is None else replace(start, environment=replace(environment, instruction=words))

    turns = [of_one(config) for config in found.values()]
    return [next(one) for one in islice(cycle(turns), count)]


def known_instructions(imitated: Sequence[Episode], seed: int) -> list[str]:
    """The instructions of these episodes, or `INSTRUCTIONS` of them drawn at the seed; in the order of the alphabet."""
    known = sorted({one.observations[0].instruction for one in imitated if one.observations} - {""})
    return sorted(Random(seed).sample(known, min(INSTRUCTIONS, len(known))))
