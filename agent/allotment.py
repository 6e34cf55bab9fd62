"""What a stage of this life may take of the budget."""

from perdure.agent.record import Record
from perdure.budget.allocation import stage_cap
from perdure.budget.monitor import Reading
from perdure.curriculum.schema import Curriculum


def allotted(curriculum: Curriculum, record: Record, number: int, entry: Reading, share: float | None = None) -> float:
    """The KL that stage `number` may end with, entered at this reading; `share` is the strategy's own, if it has one.

    The floors of `allocation: floor` are the needs that were told before the life (`Record.prices`); a stage without a
    target has none, and the allocation is `even` then.
    """
    needs = {price.stage: price.need for price in record.prices}
    stages = len(curriculum.stages)
    floors = [needs.get(stage) for stage in range(1, stages + 1)]
    return stage_cap(curriculum.budget, spent=entry.bound, stage=number, stages=stages, floors=floors, share=share)
