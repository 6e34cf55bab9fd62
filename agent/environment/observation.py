"""What a strategy may know before it chooses, as numbers: the same in the environment and in a run.

Nothing here comes from the held-out items of the task to come: its rate is measured on training items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.agent.environment.rewards import mean
from perdure.agent.run.state import RunState, StageState
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Situation
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Task
from perdure.eval.sampled_rewards import item_means, sampled_evaluation, sampled_rewards

Observation = NDArray[np.float32]

PROMPTS, SAMPLES, SUCCESS_REWARD = 32, 4, 0.5
"""The rate is measured on the first training items, with so many samples each; from which reward a sample succeeds."""

NAMES: dict[str, tuple[float, float]] = {
    "rate": (-10, 10),
    "rate_any": (0, 1),
    "demonstrations": (0, 1),
    "reward": (0, 1),
    "stage": (0, 1),
    "budget_left": (0, 1),
    "kl": (0, 100),
    "accuracy": (-10, 10),
    "gain": (-10, 10),
    "drop": (-10, 10),
    "benchmark_drop": (-10, 10),
    "benchmark_drop_so_far": (-10, 10),
}
"""Every entry in its order, with the least and the most that it is; beyond, it is cut off.

    rate                   mean reward of samples at temperature 1 to training items of the task to come
    rate_any               share of those items with a success among their samples
    demonstrations         1 where the task to come can be imitated, else 0
    reward                 1 where it has a reward, else 0
    stage                  its number divided by how many there are; 1 also when the life is over
    budget_left            share of the life's budget that is left
    kl                     the KL from the base as the budget counts it, in nats
    accuracy               mean score on the tasks learned so far
    gain                   rise of the last stage's own task in that stage
    drop                   mean fall of the tasks before it in that stage
    benchmark_drop         mean fall of the benchmarks in that stage
    benchmark_drop_so_far  the same since the base

What is not there, such as the gain of a stage before the first, is 0; when the life is over so are the first four.
"""


@dataclass(frozen=True)
class Sight:
    """What the observation is made of: the stage to come and its task, `None` when the life is over.

    `number` is that stage's, from 1; `kl` and `left` are those of the reading before it; rows of `record` from that
    stage on are not looked at.
    """

    number: int
    coming: tuple[Stage, Task] | None
    curriculum: Curriculum
    policy: Policy
    kl: float
    left: float
    record: RunState


def observe(situation: Situation) -> Observation:
    """The observation of a strategy in a run: shape `(len(NAMES),)`."""
    return observation(
        Sight(
            number=situation.number,
            coming=(situation.stage, situation.task),
            curriculum=situation.curriculum,
            policy=situation.policy,
            kl=situation.entry.kl.value,
            left=situation.entry.left,
            record=situation.record,
        )
    )


def observation(sight: Sight) -> Observation:
    """The entries of `NAMES`, cut off at their ends: shape `(len(NAMES),)`. What is not finite is 0."""
    stage = min(1.0, sight.number / len(sight.curriculum.stages))
    entries = {"stage": stage, "budget_left": sight.left, "kl": sight.kl}
    if sight.coming is not None:
        entries |= _of_task(*sight.coming, sight.curriculum, sight.policy)
    entries |= _of_past(sight.record, sight.number)
    values = np.nan_to_num(np.array([entries.get(name, 0.0) for name in NAMES]), nan=0.0)
    low, high = np.array(list(NAMES.values())).T
    found: Observation = np.clip(values, low, high).astype(np.float32)
    return found


def _of_task(stage: Stage, task: Task, curriculum: Curriculum, policy: Policy) -> dict[str, float]:
    rewards = sampled_rewards(
        task,
        task.train[:PROMPTS],
        policy,
        sampled_evaluation(curriculum, stage),
        k=SAMPLES,
        seed=derive(curriculum.seed, "observation", stage.name),
    )
    return {
        "rate": mean(item_means(rewards)),
        "rate_any": mean([any(one is not None and one >= SUCCESS_REWARD for one in row) for row in rewards]),
        "demonstrations": float(task.has_demonstrations),
        "reward": float(task.reward is not None),
    }


def _of_past(record: RunState, number: int) -> dict[str, float]:
    rows = [row for row in record.rows if row.stage < number and row.committed]
    if len(rows) < 2:
        return {}
    before, last = rows[-2], rows[-1]
    learned = [row.name for row in rows[1:]]
    return {
        "accuracy": mean([last.scores[name].value for name in learned]),
        "gain": -_fall(before, last, learned[-1:]),
        "drop": _fall(before, last, learned[:-1]),
        "benchmark_drop": _fall(before, last, record.benchmarks),
        "benchmark_drop_so_far": _fall(rows[0], last, record.benchmarks),
    }


def _fall(before: StageState, after: StageState, names: Sequence[str]) -> float:
    return mean([before.scores[name].value - after.scores[name].value for name in names])
