"""All that a run needs, from its curriculum to its folder: what the loop and its helpers are handed."""

from dataclasses import dataclass, field

from perdure.agent.run.folder import RunFolder
from perdure.agent.run.interrupt import Interrupt
from perdure.agent.run.log import RunLogger
from perdure.agent.strategies.contract import Strategy
from perdure.agent.worlds.contract import World
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Task
from perdure.eval.scorecard import Scorecard


@dataclass
class Life:
    """All that a run needs. What is done is in the folder; nothing here has to survive a kill.

    `strict`: the run ends before any training if a stage cannot reach its target within the budget (`agent/prices.py`).
    """

    curriculum: Curriculum
    tasks: tuple[Task, ...]
    world: World
    monitor: Monitor
    scorecard: Scorecard
    strategy: Strategy
    folder: RunFolder
    logger: RunLogger
    interrupt: Interrupt = field(default_factory=Interrupt)
    strict: bool = False

    @property
    def stages(self) -> list[tuple[int, Stage, Task]]:
        """Number (from 1), stage and task."""
        return [
            (number, stage, task)
            for number, (stage, task) in enumerate(zip(self.curriculum.stages, self.tasks, strict=True), 1)
        ]
