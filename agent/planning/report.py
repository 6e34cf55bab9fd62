"""A plan as plain values: what `perdure plan FILE --json` prints."""

from dataclasses import asdict
from typing import Any

from perdure.agent.planning.costs import LifePlan, MethodCost, Span, StagePlan
from perdure.agent.planning.timing import STEPS
from perdure.agent.prices import SAMPLES, rate_interval

PRICED = (
    "base rates",
    "conflicts: shares of the writer's tokens that the base finds improbable while sure of others",
    "lengths of the base's texts",
)
"""Left out of a quick plan."""
MEASURED = (
    "seconds of a reading, of a batch of every column of the scorecard, of saving, and of a few steps of each method",
    "bytes of the base's texts, of a policy, of a snapshot and of a checkpoint on the disk",
    "bytes of the largest logits",
)
COMPUTED = (
    "floors, needs and what is left",
    "seconds of whole stages and of the run",
    "bytes of the whole run on the disk",
    "bytes of memory: weights, gradients, optimiser, copies, last good state and logits, without activations",
)


def plan_object(plan: LifePlan) -> dict[str, Any]:
    """Plain values, `None` for what is not known. KL in nats; sizes in bytes; `seconds` by the quickest methods and
    by the slowest; `measured` and `computed` say which figures are which.
    """
    budget = plan.curriculum.budget
    return {
        "base_id": plan.base_id,
        "resolved": dict(plan.resolved),
        "budget": {
            "kl": budget.kl,
            "unit": budget.unit,
            "prompts": budget.prompts,
            "enforce": list(budget.enforced),
            "allocation": budget.allocation,
        },
        "stages": [_stage(stage) for stage in plan.stages],
        "fits": all(price.fits for price in plan.prices),
        "seconds": _span(plan.seconds),
        "base_seconds": plan.base_seconds,
        "reading_seconds": plan.reading_seconds,
        "scoring_seconds": plan.scoring_seconds,
        "planning_seconds": plan.planning_seconds,
        "disk": asdict(plan.disk) | {"policies": plan.disk.policies, "kept": plan.disk.kept, "most": plan.disk.most},
        "memory": plan.memory,
        "host_memory": plan.host_memory,
        "answers_a_prompt": SAMPLES,
        "steps_tried": STEPS,
        "proposing_seconds": plan.proposing_seconds,
        "proposed": None if plan.proposed is None else asdict(plan.proposed),
        "quick": plan.quick,
        "measured": [*(() if plan.quick else PRICED), *MEASURED],
        "computed": list(COMPUTED),
    }


def _stage(stage: StagePlan) -> dict[str, Any]:
    price = stage.price
    rate = price.base_rate
    return {
        "stage": price.stage,
        "name": price.name,
        "base_rate": None if rate is None else asdict(rate),
        "base_rate_interval": None if rate is None else list(rate_interval(rate)),
        "target": price.target,
        "floor": price.floor,
        "floor_interval": None if price.floor_interval is None else list(price.floor_interval),
        "need": price.required_kl,
        "left": price.remaining_kl,
        "fits": price.fits,
        "refusal": price.refusal,
        "conflicts": None if stage.conflicts is None else asdict(stage.conflicts),
        "seconds": _span(stage.seconds),
        "seconds_around": stage.around,
        "methods": [_method(one) for one in stage.methods],
    }


def _method(cost: MethodCost) -> dict[str, Any]:
    timing, memory = cost.timing, cost.memory
    return {
        "method": cost.method,
        "steps": None if timing is None else timing.steps,
        "seconds": cost.seconds,
        "seconds_a_step": None if timing is None else timing.seconds_a_step,
        "setup_seconds": None if timing is None else timing.setup_seconds,
        "checkpoint_bytes": None if timing is None else timing.checkpoint_bytes,
        "memory": None if memory is None else asdict(memory) | {"total": memory.total},
        "as_in": cost.as_in,
        "fault": cost.fault,
    }


def _span(seconds: Span | None) -> dict[str, float] | None:
    return None if seconds is None else {"low": seconds[0], "high": seconds[1]}
