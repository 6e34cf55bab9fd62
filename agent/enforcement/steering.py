"""What steers the KL penalty of a stage, from one stage to the next."""

from perdure.agent.life import Life
from perdure.agent.run.folder import read_json
from perdure.budget.penalty import Controller


def controller_of(life: Life, number: int, cap: float) -> Controller | None:
    """What steers the penalty of a stage, with the weight that the stage before left; `None` without a penalty.

    It is made anew from that weight whenever the update begins; one that goes on from a checkpoint finds its own there.
    """
    budget = life.curriculum.budget
    if not budget.enforces("penalty"):
        return None
    before = life.folder.stage(number - 1, life.curriculum.stages[number - 2].name) if number > 1 else None
    weight = None if before is None else read_json(before / "settled.json")["penalty_weight"]
    return Controller(budget.penalty, cap, weight)
