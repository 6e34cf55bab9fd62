"""Trains cells of a sweep together in the vision world; the code is imported when it is needed."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from perdure.agent.sweep.contract import ResultRow
from perdure.agent.sweep.stacks import Trainer
from perdure.curriculum.schema import Curriculum


def key(curriculum: Curriculum) -> Hashable | None:
    """See `Trainer.key`."""
    from perdure.agent.worlds.vision.sweep_points import stack_key

    return stack_key(curriculum)


def base(curriculum: Curriculum) -> Hashable:
    """See `Trainer.base`: the network, its seed, the task, and what the cell is measured against."""
    stage = curriculum.stages[0].model_dump_json(include={"name", "task"})
    return stage + curriculum.model_dump_json(include={"model", "seed", "benchmarks", "evaluation"})


def train(
    curricula: Sequence[Curriculum], checkpoints: int, *, predictors: str = "all"
) -> Sequence[Sequence[ResultRow]]:
    """See `Trainer.train`."""
    from perdure.agent.worlds.vision.sweep_points import train_cells

    return train_cells(curricula, checkpoints, changes=predictors == "all")


def provenance(curriculum: Curriculum) -> Mapping[str, Any]:
    """See `Trainer.provenance`."""
    from perdure.agent.worlds.vision.sweep_points import world_metadata

    return world_metadata(curriculum)


TRAINER = Trainer(key, base, train, provenance)
