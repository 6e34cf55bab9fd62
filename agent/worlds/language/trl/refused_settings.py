"""Settings of TRL that methods refuse: without effect on them, or making them wrong."""

from collections.abc import Mapping
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.language.spec import LanguageObjective
from perdure.curriculum.worlds.methods import Method

GRPO_LOSS_FIELDS = (
    "loss_type",
    "epsilon",
    "epsilon_high",
    "delta",
    "scale_rewards",
    "reward_weights",
    "multi_objective_aggregation",
    "importance_sampling_level",
    "off_policy_mask_threshold",
    "use_bias_correction_kl",
    "mask_truncated_completions",
    "top_entropy_quantile",
    "entropy_coef",
    "use_adaptive_entropy",
    "beta",
)
"""Fields of GRPOConfig that only its loss reads, which `tilt` and `sdft` replace."""

SFT_LOSS_FIELDS = ("loss_type", "label_smoothing_factor", "router_aux_loss_coef")
"""Fields of SFTConfig that only its loss reads, which `token_weight: entropy` replaces."""

EXACT_SAMPLING: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": None,
    "repetition_penalty": 1.0,
    "generation_kwargs": None,
    "use_vllm": False,
}
"""The settings at which TRL samples from the distribution whose log-probabilities it computes."""


def check_weighing(method: Method, settings: Any) -> None:
    """Refuse settings of TRL's loss where each token is weighed by its entropy.

    Raises:
        ConfigError: a field without effect.
    """
    if getattr(settings, "token_weight", None) != "entropy":
        return
    for name in SFT_LOSS_FIELDS:
        if name in settings.trl:
            raise ConfigError(
                f"train settings of `{method.name}`: trl.{name} would do nothing: it belongs to TRL's loss, and "
                "`token_weight: entropy` has its own; leave one of the two out"
            )


def check_sampling(method: Method, given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse settings that a method cannot have.

    Args:
        given: the user's `trl` settings.
        values: all fields of TRL's config.

    Raises:
        ConfigError: a field without effect; too few samples; for `tilt`, sampling from another distribution.
    """
    where, objective = f"train settings of `{method.name}`", method.objective
    assert isinstance(objective, LanguageObjective)
    for name in GRPO_LOSS_FIELDS if objective.has_own_loss else ():
        if name in given:
            raise ConfigError(
                f"{where}: trl.{name} would do nothing: it belongs to TRL's loss, and `{method.name}` has its own; "
                "write it under the section of the method that it is for"
            )
    if values.get("num_generations", 2) < 2:
        raise ConfigError(
            f"{where}: num_generations is {values['num_generations']}, and TRL samples at least 2 answers a prompt"
        )
    for name, right in EXACT_SAMPLING.items() if objective.samples_exactly else ():
        if values.get(name, right) != right:
            raise ConfigError(
                f"{where}: {name} must be {right!r}: the weights π0/π are right only for samples drawn from the policy "
                "itself, at temperature 1 and without truncation"
            )
