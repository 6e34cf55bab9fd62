"""The reward of a stage: gain minus forgetting, from two rows of the retention matrix. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from perdure.budget.errors import ConfigError
from perdure.budget.estimate import Estimate
from perdure.curriculum.environment import Environment


@dataclass(frozen=True)
class RewardParts:
    """The parts of a reward, as fractions; each is a change from the row before.

    Attributes:
        gain: rise of the stage's own and all later tasks, summed and divided by the number of tasks.
        forgetting: drop of the tasks before it, summed and divided by the number of tasks.
        benchmark_drop: mean drop of the benchmarks, 0 without benchmarks.
    """

    gain: float
    forgetting: float
    benchmark_drop: float

    def reward(self, weights: Environment) -> float:
        """The weighted gain less the weighted losses.

        With weights of one, the rewards of a run sum to the rise of average accuracy less the benchmark drop:
        `sum_t = mean_j (R[T,j] - R[0,j]) - mean_b (B[0,b] - B[T,b])`, in the notation of `perdure.eval.metrics`. Later
        tasks belong to the gain, so that spoiling them first gains nothing.
        """
        loss = weights.forgetting_weight * self.forgetting + weights.benchmark_weight * self.benchmark_drop
        return weights.gain_weight * self.gain - loss


def reward_weights(
    section: Environment | None, gain: float | None, forgetting: float | None, benchmark: float | None
) -> Environment:
    """The given weights, with those of the curriculum's section for `None`.

    Raises:
        ConfigError: one is not finite, or below 0.
    """
    weights = {"gain_weight": gain, "forgetting_weight": forgetting, "benchmark_weight": benchmark}
    given = {name: weight for name, weight in weights.items() if weight is not None}
    try:
        return Environment(**((section or Environment()).model_dump() | given))
    except ValidationError as error:
        raise ConfigError(
            "gain_weight, forgetting_weight and benchmark_weight must be finite and not below 0"
        ) from error


def reward_parts(
    before: Mapping[str, Estimate],
    after: Mapping[str, Estimate],
    *,
    earlier: Sequence[str],
    later: Sequence[str],
    benchmarks: Sequence[str],
) -> RewardParts:
    """The parts of a stage's reward from the scores before and after it; `later` begins with the stage's own task."""
    total = len(earlier) + len(later)
    return RewardParts(
        gain=sum(_rises(before, after, later)) / total,
        forgetting=-sum(_rises(before, after, earlier)) / total,
        benchmark_drop=-mean(_rises(before, after, benchmarks)),
    )


def mean(values: Sequence[float]) -> float:
    """The mean; 0 without values."""
    return sum(values) / len(values) if values else 0.0


def _rises(before: Mapping[str, Estimate], after: Mapping[str, Estimate], names: Sequence[str]) -> list[float]:
    return [after[name].value - before[name].value for name in names]
