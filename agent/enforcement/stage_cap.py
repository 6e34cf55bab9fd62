"""What a stage of this life may take of the budget."""

from perdure.agent.run.record import Record
from perdure.budget.allocation import stage_cap
from perdure.budget.monitor import Reading
from perdure.budget.price import added
from perdure.curriculum.schema import Curriculum


def allotted(curriculum: Curriculum, record: Record, number: int, entry: Reading, share: float | None = None) -> float:
    """The KL that stage `number` may end with, entered at this reading; `share` is the strategy's own, if it has one.

    `allocation: floor` goes by what each stage adds to the needs that were told before the life (`Record.prices`);
    where that cannot be told of a stage still to come, the allocation is `even`.
    """
    budget, stages = curriculum.budget, len(curriculum.stages)
    prices = {price.stage: price for price in record.prices}
    told = [prices.get(stage) for stage in range(1, stages + 1)]
    needed = [None if one is None else one.need for one in told]
    floors = [None if one is None else one.floor for one in told]
    parts = added(needed, floors, budget.prompts)
    return stage_cap(budget, spent=entry.bound, stage=number, stages=stages, floors=parts, share=share)
