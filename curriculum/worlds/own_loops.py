"""Modifiers, recipes and choices that are the same in all worlds that train by loops of their own."""

from typing import Any

from perdure.budget.config import Frozen
from perdure.curriculum.settings import L2, Cpo, Ewc, Kl, LowRank, Replay
from perdure.curriculum.worlds.averaging import average_in
from perdure.curriculum.worlds.methods import MethodSpec, Recipe
from perdure.curriculum.worlds.sizes import (
    anchors,
    anchors_and_fisher,
    low_rank_copies,
    low_rank_factors,
    protected_copies,
)

CHOICES: dict[str, tuple[str, ...]] = {
    "lr_scheduler_type": ("constant", "constant_with_warmup", "linear", "cosine"),
    "scale_rewards": ("none", "group"),
}
"""See `WorldSpec.choices`."""


# The weights of `ewc` and `l2` come from one look at the shipped vision stream (seed 100, `writer: two` in all four
# stages, SFT at 3e-4 for two passes; average accuracy / forgetting / benchmark drop). SFT: .694 / .243 / .443.
# `ewc_lambda` 100: .695 / .243 / .427, 1e3: .702 / .206 / .367, 1e4: .692 / .066 / .278, 1e5: .636 / .010 / .180.
# `l2_lambda` 0.01: .703 / .232 / .388, 0.1: .697 / .200 / .344, 1: .666 / .038 / .293. Each is the largest whose
# average accuracy is within a standard error (.007) of the best: a stronger penalty forgets less and learns less.
_MODIFIERS: dict[str, tuple[type[Frozen], dict[str, Any]]] = {
    "replay": (Replay, {}),
    "kl": (Kl, {"defaults": {"beta": 0.1}}),
    "ewc": (Ewc, {"defaults": {"ewc_lambda": 1000.0}, "copies": anchors_and_fisher}),
    "l2": (L2, {"defaults": {"l2_lambda": 0.1}, "copies": anchors}),
    "low_rank": (LowRank, {"copies": low_rank_copies, "factors": low_rank_factors}),
    "cpo": (Cpo, {"defaults": {"cpo_lambda": 100.0}, "copies": protected_copies}),
}


def modifiers_of(world: str) -> tuple[MethodSpec, ...]:
    """The modifiers, as rows of one world, whose folder of methods has a module of each but `average`."""
    code = f"perdure.agent.worlds.{world}.methods"
    own = (
        MethodSpec(name, world, "modifier", settings, f"{code}.{name}", **more)
        for name, (settings, more) in _MODIFIERS.items()
    )
    return *own, average_in(world)


def recipes_of(world: str) -> tuple[Recipe, ...]:
    """The recipes, as rows of one world; their summaries stand in the rows of the language world."""
    beta = frozenset({"beta"})
    return (
        Recipe("rl_kl", world, "rl", defaults={"beta": 0.1}, nonzero=beta),
        Recipe("eaft", world, "sft", settings={"token_weight": "entropy"}),
        Recipe("sft_kl", world, "sft", ("kl",), nonzero=beta, shared=beta),
        Recipe("low_lr_sft", world, "sft", settings={"learning_rate_share": 0.1}),
        Recipe("replay", world, "sft", ("replay",)),
        Recipe("ewc", world, "sft", ("ewc",)),
        Recipe("l2", world, "sft", ("l2",)),
        Recipe("lora", world, "sft", ("low_rank",)),
        Recipe("grpo", world, "rl", settings={"scale_rewards": "group"}),
        Recipe("dr_grpo", world, "rl", settings={"scale_rewards": "none"}),
    )
