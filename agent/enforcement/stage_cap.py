"""The cap of a stage, and the controller that steers its KL penalty there."""

from perdure.agent.life import Life
from perdure.agent.run.stages import saved_stage
from perdure.agent.run.state import RunState
from perdure.budget.allocation import stage_cap
from perdure.budget.monitor import Reading
from perdure.budget.penalty import Controller
from perdure.budget.price import added_kls
from perdure.curriculum.schema import Curriculum


def cap_for(curriculum: Curriculum, state: RunState, number: int, entry: Reading, share: float | None = None) -> float:
    """The KL that stage `number` may end with, entered at this reading; `share` is the strategy's own, if it has one.

    `allocation: floor` goes by what each stage adds to the KL that the stages before it require (`RunState.prices`);
    where that is not known of a stage still to come, the allocation is `even`.
    """
    budget, stages = curriculum.budget, len(curriculum.stages)
    prices = {price.stage: price for price in state.prices}
    known = [prices.get(stage) for stage in range(1, stages + 1)]
    required = [None if one is None else one.required_kl for one in known]
    floors = [None if one is None else one.floor for one in known]
    parts = added_kls(required, floors, budget.prompts)
    return stage_cap(budget, spent=entry.upper_bound, stage=number, stages=stages, floors=parts, share=share)


def controller_for(life: Life, number: int, cap: float) -> Controller | None:
    """The controller of a stage's penalty, with the weight that the stage before ended with; `None` without a penalty.

    It is made anew from that weight whenever the update begins; one that goes on from a checkpoint finds its own there.
    """
    budget = life.curriculum.budget
    if not budget.enforces("penalty"):
        return None
    weight = None
    if number > 1:
        row = life.logger.state.row(number - 1)
        before = saved_stage(life.folder.stage(number - 1, life.curriculum.stages[number - 2].name))
        known = (row, before)
        weight = next((one.penalty_weight for one in known if one is not None and one.penalty_weight is not None), None)
    return Controller(budget.penalty, cap, weight)
