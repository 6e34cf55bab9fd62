"""The observation before a stage, as numbers: the same in the environment and for a strategy in a run.

It uses no held-out items of the next task: its success rate is measured on training items.
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

ObservationVector = NDArray[np.float32]

PROMPTS, SAMPLES, SUCCESS_REWARD = 32, 4, 0.5
"""The number of training items and of samples per item for the rate, and the least reward of a success."""

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
"""The entries in order, each with the range that it is clipped to.

    rate                   mean reward of samples at temperature 1 for training items of the next task
    rate_any               share of those items with a success among their samples
    demonstrations         1 if the next task has demonstrations, else 0
    reward                 1 if it has a reward, else 0
    stage                  its number divided by the number of stages; 1 also after the last stage
    budget_left            share of the run's budget that remains
    kl                     KL from the base as the budget counts it, in nats
    accuracy               mean score on the tasks learned so far
    gain                   rise of the last stage's own task in that stage
    drop                   mean drop of the tasks before it in that stage
    benchmark_drop         mean drop of the benchmarks in that stage
    benchmark_drop_so_far  mean drop of the benchmarks from the base

A value that does not exist, such as the gain before the first stage, is 0; after the last stage so are the first four.
"""


@dataclass(frozen=True)
class ObservationInputs:
    """The inputs of an observation: the next stage with its task, `None` after the last stage.

    `number` is that stage's, from 1; `kl` and `remaining` (share of the budget) are those of the reading before it;
    rows of `record` from that stage on are ignored.
    """

    number: int
    next_stage: tuple[Stage, Task] | None
    curriculum: Curriculum
    policy: Policy
    kl: float
    remaining: float
    record: RunState


def observe(situation: Situation) -> ObservationVector:
    """The observation of a strategy in a run: shape `(len(NAMES),)`."""
    return observation(
        ObservationInputs(
            number=situation.number,
            next_stage=(situation.stage, situation.task),
            curriculum=situation.curriculum,
            policy=situation.policy,
            kl=situation.entry.kl.value,
            remaining=situation.entry.left,
            record=situation.record,
        )
    )


def observation(inputs: ObservationInputs) -> ObservationVector:
    """The entries of `NAMES`, clipped to their ranges: shape `(len(NAMES),)`. A value that is not finite is 0."""
    stage = min(1.0, inputs.number / len(inputs.curriculum.stages))
    entries = {"stage": stage, "budget_left": inputs.remaining, "kl": inputs.kl}
    if inputs.next_stage is not None:
        entries |= _task_entries(*inputs.next_stage, inputs.curriculum, inputs.policy)
    entries |= _record_entries(inputs.record, inputs.number)
    values = np.nan_to_num(np.array([entries.get(name, 0.0) for name in NAMES]), nan=0.0)
    low, high = np.array(list(NAMES.values())).T
    found: ObservationVector = np.clip(values, low, high).astype(np.float32)
    return found


def _task_entries(stage: Stage, task: Task, curriculum: Curriculum, policy: Policy) -> dict[str, float]:
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


def _record_entries(record: RunState, number: int) -> dict[str, float]:
    rows = [row for row in record.rows if row.stage < number and row.committed]
    if len(rows) < 2:
        return {}
    before, last = rows[-2], rows[-1]
    learned = [row.name for row in rows[1:]]
    return {
        "accuracy": mean([last.scores[name].value for name in learned]),
        "gain": -_mean_drop(before, last, learned[-1:]),
        "drop": _mean_drop(before, last, learned[:-1]),
        "benchmark_drop": _mean_drop(before, last, record.benchmarks),
        "benchmark_drop_so_far": _mean_drop(rows[0], last, record.benchmarks),
    }


def _mean_drop(before: StageState, after: StageState, names: Sequence[str]) -> float:
    return mean([before.scores[name].value - after.scores[name].value for name in names])
