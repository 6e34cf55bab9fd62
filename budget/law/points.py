"""The checkpoints of many runs that the law is fitted on, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.law.saved import Predictor

FORWARD_KL = "kl_base_to_policy"
GENERIC_KL = "kl_base_to_policy_generic"
"""Forward KL on generic inputs, which need no old data: the base's own texts, states it visits, noise for images."""

LAW_PREDICTORS: Mapping[Predictor, tuple[str, ...]] = {
    "task": (FORWARD_KL,),
    "generic": (GENERIC_KL,),
    "both": (FORWARD_KL, GENERIC_KL),
}
"""The columns from which a law may predict: forward KL on the task's inputs, on generic ones, or both."""

NEW_TASK_PREDICTORS = (
    FORWARD_KL,
    "kl_policy_to_base",
    "total_variation",
    "l2_distributions",
    "jensen_shannon",
    "hellinger",
    "kl_base_to_policy_median",
    "kl_base_to_policy_q90",
    "activation_l1",
    "activation_l2",
    "activation_cknna",
)
"""Predictors measured on the new task's inputs: divergences in nats or fractions, and changes of activations.

`median` and `q90` are quantiles over inputs of the forward KL of one input."""

UPDATE_PREDICTORS = (
    "weight_l1",
    "weight_l2",
    "weight_fisher",
    "weight_spectral",
    "update_sparsity",
    "update_rank",
)
"""Predictors computed from the weights."""

OLD_TASK_PREDICTORS = tuple(f"{name}_old" for name in NEW_TASK_PREDICTORS)
"""The same measures on the old task's inputs, which are often not available."""

SAME_ACCURACY = 1e-7
"""Tolerance in comparisons of accuracies that were computed in single precision."""

_TEXTS = ("run", "method")
_FIGURES = ("forgetting", "accuracy", "mass", "base_mass")


@dataclass(frozen=True, eq=False)
class Points:
    """P checkpoints, pooled. All arrays have shape (P,).

    Attributes:
        run: the run of each checkpoint; the unit of all resampling.
        method: the display name of its update method, or of its arm of a sweep.
        forgetting: mean over benchmarks of (base score - score), as a fraction.
        accuracy: on the new task, by greedy answers.
        mass: mean probability of a right answer under the policy; NaN: unknown.
        base_mass: the same under the base.
        predictors: by name; NaN: not measured. A column may be missing.
        world: such as `vision`.
        base: the identity of the base; points of two bases do not pool.
        unit: of the KL: nats per `token` or per `sequence`.
        prompts: those that the KL was measured on.
        seed: the seed of the run; by default all have the same.

    Raises:
        ValueError: the arrays are not one-dimensional, of equal length and of the right kind.
    """

    run: NDArray[np.str_]
    method: NDArray[np.str_]
    forgetting: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    mass: NDArray[np.float64]
    base_mass: NDArray[np.float64]
    predictors: Mapping[str, NDArray[np.float64]]
    world: str = ""
    base: str = ""
    unit: str = "token"
    prompts: str = "task"
    seed: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.run)
        if len(shape) != 1:
            raise ValueError(f"points need arrays of shape (P,), got {shape} for run")
        for name in _TEXTS:
            _check(name, getattr(self, name), shape, "U", "texts (dtype str)")
        if self.seed is not None:
            _check("seed", self.seed, shape, "U", "texts (dtype str)")
        for name in _FIGURES:
            _check(name, getattr(self, name), shape, "f", "floats")
        for name, column in self.predictors.items():
            _check(name, column, shape, "f", "floats")

    def __len__(self) -> int:
        return len(self.run)

    @property
    def seed_P(self) -> NDArray[np.str_]:
        """The seed of every checkpoint; empty if none is given."""
        return np.full(len(self), "", dtype=np.str_) if self.seed is None else self.seed

    @property
    def seeds(self) -> tuple[str, ...]:
        """The distinct seeds, in numerical order if they are numbers."""
        return tuple(sorted(map(str, np.unique(self.seed_P)), key=lambda seed: (len(seed), seed)))

    def select(self, mask: NDArray[np.bool_]) -> "Points":
        """The points where `mask` (P,) is true.

        Raises:
            ValueError: the mask is not boolean of shape (P,).
        """
        if mask.shape != self.run.shape or mask.dtype != np.bool_:
            raise ValueError(f"a mask of {len(self)} points must be bool of that shape, got {mask.dtype} {mask.shape}")
        arrays = {name: getattr(self, name)[mask] for name in (*_TEXTS, *_FIGURES)}
        predictors = {name: column[mask] for name, column in self.predictors.items()}
        seed = None if self.seed is None else self.seed[mask]
        return replace(self, **arrays, predictors=predictors, seed=seed)


def _check(name: str, column: Any, shape: tuple[int, ...], kind: str, wanted: str) -> None:
    if not isinstance(column, np.ndarray) or column.shape != shape or column.dtype.kind != kind:
        found = f"{column.dtype} {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
        raise ValueError(f"points: {name} must be an array of {wanted} of shape {shape}, got {found}")
