"""Labels and figures of `perdure law`: the same in the report and in all plots."""

from collections.abc import Mapping

from perdure.budget.base_id import at_settings
from perdure.budget.law.points import Points
from perdure.budget.law.resample import Interval
from perdure.cli.views.format import format_points
from perdure.curriculum.worlds.registry import nouns_of, one_step_answers

PREDICTOR_LABELS: Mapping[str, str] = {
    "kl_base_to_policy": "forward KL",
    "kl_policy_to_base": "reverse KL",
    "total_variation": "total variation",
    "l2_distributions": "L2 of distributions",
    "jensen_shannon": "Jensen-Shannon",
    "hellinger": "Hellinger",
    "kl_base_to_policy_median": "forward KL, median",
    "kl_base_to_policy_q90": "forward KL, 90 % quantile",
    "kl_base_to_policy_generic": "forward KL, generic",
    "activation_l1": "activations, L1",
    "activation_l2": "activations, L2",
    "activation_cknna": "activations, 1-CKNNA",
    "weight_l1": "weights, L1",
    "weight_l2": "weights, L2",
    "weight_fisher": "weights, Fisher L2",
    "weight_spectral": "weights, spectral",
    "update_sparsity": "sparsity of update",
    "update_rank": "rank of update",
}

LAW_LABELS: Mapping[str, str] = {
    "task": "forward KL on the task",
    "generic": "forward KL, generic",
    "both": "both, added",
}
"""What a law predicts from."""

PLACES: Mapping[str, str] = {
    "new task": "on the new task's inputs",
    "generic": "on generic inputs (not ranked: the same measure, elsewhere)",
    "update": "of the update itself",
    "old task": "on the old task's inputs (not ranked: they may be out of reach)",
}


def predictor_label(name: str) -> str:
    """`forward KL`, whatever the inputs."""
    return PREDICTOR_LABELS.get(name.removesuffix("_old"), name)


def interval(found: Interval | None, digits: int = 3) -> str:
    """`0.983 [0.982, 0.985]`; `n/a` and no interval where they are not known."""
    if found is None or found.value is None:
        return "n/a"
    if found.low is None or found.high is None:
        return fixed(found.value, digits)
    return f"{fixed(found.value, digits)} [{fixed(found.low, digits)}, {fixed(found.high, digits)}]"


def interval_points(found: Interval) -> str:
    """A share and its interval in points: `65.5 [64.1, 66.8]`."""
    if found.value is None:
        return "n/a"
    if found.low is None or found.high is None:
        return format_points(found.value)
    return f"{format_points(found.value)} [{format_points(found.low)}, {format_points(found.high)}]"


def fixed(value: float | None, digits: int = 3) -> str:
    """A figure with `digits` decimals, never `-0.000`."""
    return "n/a" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def percent(share: float) -> str:
    """`95 %`, `97.5 %`."""
    return f"{round(100 * share, 1):g} %"


def number_of(count: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def kl_label(points: Points) -> str:
    """The label of the KL axis, with the settings that KL depends on; nats alone where a token is the whole answer."""
    unit = "" if one_step_answers(points.world) else f" {nouns_of(points.world).per(points.unit)}"
    return f"forward KL, nats{unit}{at_settings(points.base)}"
