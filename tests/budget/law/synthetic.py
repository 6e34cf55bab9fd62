"""Checkpoints of made-up runs whose law is known."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.points import FORWARD_KL, Points


def plain_points(
    kl: Sequence[float],
    forgetting: Sequence[float],
    run: Sequence[str] | None = None,
    method: Sequence[str] | None = None,
    accuracy: Sequence[float] | None = None,
    **predictors: Sequence[float],
) -> Points:
    """Points as given, each of a run of its own and of one method unless told otherwise."""
    n = len(kl)
    columns: Mapping[str, Sequence[float]] = {FORWARD_KL: kl, **predictors}
    return Points(
        run=np.array(run if run is not None else [f"r{i}" for i in range(n)], dtype=str),
        method=np.array(method if method is not None else ["sft"] * n, dtype=str),
        forgetting=np.array(forgetting, dtype=float),
        accuracy=np.array(accuracy if accuracy is not None else [0.9] * n, dtype=float),
        mass=np.full(n, 0.98),
        base_mass=np.full(n, 0.80),
        predictors={name: np.array(column, dtype=float) for name, column in columns.items()},
        world="vision",
        base="a-base",
    )


def lives(
    runs_a_method: Sequence[int],
    shifts: Sequence[float] | None = None,
    *,
    checkpoints: int = 4,
    run_noise: float = 0.03,
    noise: float = 0.01,
    seed: int = 0,
) -> Points:
    """Runs that forget 0.6 (1 - exp(-KL / 2)), each off by an amount of its own and by its method's shift.

    KL grows along a run, to an end that is log-uniform from e^-3 to e^2. Noise grows with KL as forgetting does.
    """
    rng = np.random.default_rng(seed)
    runs, methods, kl, forgetting = [], [], [], []
    for number, count in enumerate(runs_a_method):
        for run in range(count):
            x = np.exp(rng.uniform(-3, 2) - np.linspace(1.5, 0, checkpoints))
            law = 0.6 * (1 - np.exp(-x / 2))
            own = rng.normal(0, run_noise) * x / (0.5 + x) + rng.normal(0, noise, checkpoints)
            kl.append(x)
            forgetting.append(law + own + (shifts[number] if shifts else 0.0))
            runs += [f"m{number}-{run}"] * checkpoints
            methods += [f"m{number}"] * checkpoints
    return plain_points(list(np.concatenate(kl)), list(np.concatenate(forgetting)), runs, methods)


def kl_of(points: Points) -> NDArray[np.float64]:
    return points.predictors[FORWARD_KL]
