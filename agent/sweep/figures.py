"""Figures of a whole run, from its record, by which runs are compared."""

import math
from collections.abc import Mapping
from pathlib import Path

from perdure.agent.prices import may_cut
from perdure.agent.run.report import metric_estimates, read_items
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.budget.price import required_kls
from perdure.curriculum.schema import Curriculum

SAMPLING_TEMPERATURE = 1.0
"""The temperature at which a score estimates the mass of right answers, which a floor refers to."""


def run_figures(record: RunState, curriculum: Curriculum, run: Path) -> dict[str, float]:
    """The known metrics of `perdure.eval.metrics` (`task_forgetting` is the forgetting of tasks) and three more.

    `run` is the folder with the results of single items.

    `kl_spent`: the KL at the end as the budget counts it; `excess`: see `kl_excess`; `life_seconds`: of all stages,
    without the base's, which one run of a sweep measures for all that begin with the same.
    """
    metrics = {name: one.value for name, one in metric_estimates(record).items()}
    metrics["task_forgetting"] = metrics.pop("forgetting")
    last = [row for row in record.rows if row.committed][-1]
    seconds = [row.seconds for row in record.done if row.seconds is not None]
    figures = metrics | {
        "kl_spent": last.readings[-1].kl.value,
        "excess": kl_excess(record, last, curriculum, run),
        "life_seconds": math.fsum(seconds),
    }
    return {name: value for name, value in figures.items() if value is not None}


def kl_excess(record: RunState, last: StageState, curriculum: Curriculum, run: Path) -> float | None:
    """KL at the end less the floor of the accuracies reached, in nats per sequence.

    `None` if answers are not samples; if a reward is not known to be from 0 to 1: then its mean is no mass; or if
    answers may be longer than the texts on which the KL is read, which then need not have the KL of a whole answer.

    The floor is that of the mean masses, base against policy, on held-out items (`perdure.budget.law.floor`); the KL is
    measured on training prompts, so that a small excess may be negative.

    The mass is estimated as (k + ½)/(n + 1) for k = n times the score over n items (Krichevsky and Trofimov, IEEE
    Trans. Inf. Theory 27, 1981: the mean under Jeffreys' prior), as the floor of a score of 1 is infinite. This shrinks
    both masses towards ½, which never raises the floor, as the KL is jointly convex: it can overstate only the excess.
    """
    import numpy as np

    from perdure.budget.law.floor import kl_floor

    base = record.row(0)
    if base is None or curriculum.evaluation.temperature != SAMPLING_TEMPERATURE or may_cut(curriculum):
        return None
    if not all(_is_mass(read_items(row, name, run)) for row in (base, last) for name in record.tasks):
        return None
    before, after = ([smoothed(row.scores[name]) for name in record.tasks] for row in (base, last))
    floors = [float(one) for one in kl_floor(np.array(before), np.array(after))]
    required = required_kls(floors, curriculum.budget.prompts)[-1]
    return None if required is None else last.readings[-1].kl_per_sequence.value - required


def _is_mass(items: Mapping[str, float | None] | None) -> bool:
    return items is not None and all(one is None or 0 <= one <= 1 for one in items.values())


def smoothed(score: Estimate) -> float:
    """The mass of right answers estimated from a score over `n` items, never 0 nor 1; see `kl_excess`."""
    return (score.value * score.n + 0.5) / (score.n + 1)
