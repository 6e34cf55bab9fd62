"""What a whole life came to, in figures that lives can be compared by. Read from its record."""

import math
from collections.abc import Mapping

from perdure.agent.run.report import metric_estimates
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.budget.price import needs
from perdure.curriculum.schema import Curriculum

SAMPLED = 1.0
"""The temperature at which a score is the mass of right answers, which is what a floor is about."""


def life_figures(record: RunState, curriculum: Curriculum) -> dict[str, float]:
    """The metrics of `perdure.eval.metrics` under their names, `task_forgetting` for the forgetting of tasks, and:

    `kl_spent`, the KL that the life ended with as the budget counts it; `excess`, nats a sequence of it above the floor
    of the accuracies that were reached, unless answers are not scored as samples at temperature 1; `life_seconds`. What
    cannot be told is left out.
    """
    metrics = {name: one.value for name, one in metric_estimates(record).items()}
    metrics["task_forgetting"] = metrics.pop("forgetting")
    last = [row for row in record.rows if row.committed][-1]
    seconds = [row.seconds for row in record.rows if row.seconds is not None]
    own = {
        "kl_spent": last.readings[-1].kl.value,
        "excess": excess(record, last, curriculum),
        "life_seconds": math.fsum(seconds),
    }
    return known(metrics | own)


def known(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Those that are not `None`."""
    return {name: value for name, value in figures.items() if value is not None}


def excess(record: RunState, last: StageState, curriculum: Curriculum) -> float | None:
    """KL at the end less the floor of what was reached on the tasks whose prompts the KL was read on; nats a sequence.

    The floor is that of the mean masses, base against policy, on held-out items (`perdure.budget.law.floor`); the KL is
    read on training prompts, so that a small excess may come out below zero.

    A mass is taken as (k + ½)/(n + 1), where k = n times the score, over the n items that the score is of (Krichevsky
    and Trofimov, IEEE Trans. Inf. Theory 27, 1981: the mean under Jeffreys' prior). The floor of a score of 1 itself is
    infinite, though all that n right answers say is that the mass is near 1. Both masses are drawn towards ½ alike,
    which never raises the floor, since the KL is jointly convex: the excess is overstated, rather than the floor.
    """
    import numpy as np

    from perdure.budget.law.floor import kl_floor

    base = record.row(0)
    if base is None or curriculum.evaluation.temperature != SAMPLED:
        return None
    before, after = ([smoothed(row.scores[name]) for name in record.tasks] for row in (base, last))
    need = needs([float(one) for one in kl_floor(np.array(before), np.array(after))], curriculum.budget.prompts)[-1]
    return None if need is None else last.readings[-1].kl_per_sequence.value - need


def smoothed(score: Estimate) -> float:
    """The mass of right answers that a score over `n` items says, never 0 nor 1; see `excess`."""
    return (score.value * score.n + 0.5) / (score.n + 1)
