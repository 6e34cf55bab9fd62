"""The update methods by name: which world has them, what they need, and whose settings they begin with."""

from typing import Literal

from perdure.curriculum.worlds.registry import World

Method = Literal[
    "sft",
    "rl",
    "chord",
    "gate",
    "tilt",
    "sdft",
    "eaft",
    "sft_kl",
    "rl_kl",
    "low_lr_sft",
    "replay",
    "ewc",
    "l2",
    "lora",
    "reinforce",
    "simpo",
]

ON_SFT: tuple[Method, ...] = ("eaft", "sft_kl", "low_lr_sft", "replay", "ewc", "l2", "lora")
"""Supervised fine-tuning with one thing changed."""

METHODS: dict[World, tuple[Method, ...]] = {
    "language": ("sft", "rl", "chord", "gate", "tilt", "sdft", "rl_kl", *ON_SFT),
    "vision": ("sft", "rl", "chord", "gate", "tilt", "rl_kl", *ON_SFT, "reinforce", "simpo"),
}
"""The methods of each world. A classifier cannot be shown a demonstration, so that it has no `sdft`."""

OTHER: dict[World, World] = {"language": "vision", "vision": "language"}
"""The world that a method is of where this one lacks it."""

IMITATES: frozenset[Method] = frozenset({"sft", "chord", "gate", "sdft", *ON_SFT})
"""The methods that need demonstrations."""

REWARDED: frozenset[Method] = frozenset({"rl", "chord", "gate", "tilt", "rl_kl", "reinforce", "simpo"})
"""The methods that need a reward."""

PARENT: dict[Method, Method] = {"rl_kl": "rl", "gate": "rl", **dict.fromkeys(ON_SFT, "sft")}
"""The method that another one varies: its settings hold there too, unless the variant's own say otherwise."""

ON_BASE_TEXTS: frozenset[Method] = frozenset({"sft_kl", "ewc"})
"""The methods that train on texts of the base, which are sampled before the life begins."""


def left(world: World, *, without: frozenset[Method] = frozenset()) -> str:
    """The methods of a world apart from some, as words: `'rl', 'tilt' or 'rl_kl'`; `nothing` where none is left."""
    *first, last = [repr(method) for method in METHODS[world] if method not in without] or ["nothing"]
    return f"{', '.join(first)} or {last}" if first else last
