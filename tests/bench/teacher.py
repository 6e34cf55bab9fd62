"""How good the teacher of `sdft` is before it teaches: `python -m tests.bench.teacher CURRICULUM…`, a line a task.

The base answers training items as they are, and as `sdft` shows them to its teacher, with the demonstration in the
prompt; four samples each at temperature 1. A teacher that is right less often than its student unlearns the task.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from perdure.agent.tasks import build_tasks
from perdure.agent.worlds.language.methods.sdft import teacher_prompt
from perdure.agent.worlds.registry import make_world
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.language.settings import Sdft
from perdure.eval.sampled_rewards import item_means, sampled_rewards

ITEMS, SAMPLES, SEED = 64, 4, 1


def right(task: Task, items: Sequence[Item], policy: Policy, curriculum: Curriculum) -> float:
    """The mean reward of the policy's samples."""
    rewards = sampled_rewards(task, items, policy, curriculum.evaluation, k=SAMPLES, seed=SEED)
    return fmean(item_means(rewards))


def main(names: Sequence[str]) -> None:
    """Print the mean reward of both on every task of each curriculum."""
    for name in names:
        curriculum = read_curriculum(Path(name)).curriculum
        policy = make_world(curriculum).policy
        for stage, task in zip(curriculum.stages, build_tasks(curriculum), strict=True):
            settings = settings_for(curriculum.method("sdft"), curriculum.train, stage.train).objective
            assert isinstance(settings, Sdft)
            items = task.train[:ITEMS]
            told = [replace(one, prompt=teacher_prompt(settings.teacher_template, one)) for one in items]
            plain, shown = (right(task, asked, policy, curriculum) for asked in (items, told))
            print(f"{name} {task.name}: as it is {plain:.3f}, with the demonstration {shown:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
