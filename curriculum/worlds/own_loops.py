"""Recipes and choices that are the same in all worlds that train by loops of their own."""

from perdure.curriculum.worlds.methods import Recipe

CHOICES: dict[str, tuple[str, ...]] = {
    "lr_scheduler_type": ("constant", "constant_with_warmup", "linear", "cosine"),
    "scale_rewards": ("none", "group"),
}
"""See `WorldSpec.choices`."""


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
