"""How much memory an update takes at its peak, by method: computed from the sizes of what it must hold at once.

Counted are the weights, their gradients, AdamW's two moments, the copies that a method keeps beside them, and the
largest logits with their gradient. Not counted are the activations between (which grow with the batch and the length,
and shrink with `activation_checkpointing`), the key-value cache of a sampler, and the libraries themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from perdure.agent.world import World
from perdure.curriculum.methods import Method
from perdure.curriculum.sections import Common

KL_TERM: frozenset[Method] = frozenset({"rl", "chord", "gate", "rl_kl"})
"""The methods whose own KL term, at a `beta` above 0, takes a second copy of the base."""

KL_TERM_ALWAYS: frozenset[Method] = frozenset({"rl_kl"})
"""Those of them whose `beta` is above 0 where the settings say nothing."""

COPIES: dict[Method, int] = {"ewc": 2, "l2": 1}
"""Copies of the trained weights that a method keeps: where the stage began, and for `ewc` the Fisher information."""


@dataclass(frozen=True)
class Sizes:
    """Of a policy, in bytes: all its weights, those that are trained, and those of a low-rank update a unit of rank.

    `element` is that of one weight. `held`: a copy of the base that is there anyway. `has_base`: no method needs
    another one, since the base is held, or is the model with its adapter off.
    """

    weights: int
    trained: int
    per_rank: int
    element: int
    held: int
    has_base: bool


@dataclass(frozen=True)
class Memory:
    """What an update holds at once, in bytes."""

    weights: int
    gradients: int
    optimiser: int
    copies: int
    logits: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.copies + self.logits


def memory_of(method: Method, settings: Common, sizes: Sizes, logits: int) -> Memory:
    """The peak of one method; `logits` are the bytes of the largest ones that were seen."""
    trained = sizes.trained if method != "lora" else sizes.per_rank * int(getattr(settings, "r", 1))
    return Memory(
        weights=sizes.weights,
        gradients=trained,
        optimiser=2 * trained,
        copies=sizes.held + _copies(method, settings, sizes),
        logits=2 * logits,
    )


def _copies(method: Method, settings: Common, sizes: Sizes) -> int:
    """A second model for the base where there is none yet, a teacher in float32, or anchors."""
    if method in COPIES:
        return COPIES[method] * sizes.trained
    if method == "sdft":
        return sizes.trained // sizes.element * 4
    beta = getattr(settings, "beta", None)
    has_term = method in KL_TERM_ALWAYS if beta is None else beta > 0
    if method == "tilt" or (method in KL_TERM and has_term):
        return 0 if sizes.has_base else sizes.weights
    return 0


def sizes_of(world: World) -> Sizes:
    """What the policy of a world holds."""
    policy: Any = world.policy
    language = world.kind == "language"
    tensors = list(policy.model.parameters()) if language else list(policy.params.values())
    trained = [one for one in tensors if one.requires_grad] if language else tensors
    matrices = [one.shape[-2:] for one in trained if one.dim() >= 2 and min(one.shape[-2:]) > 1]
    element = trained[0].element_size()
    weights = sum(one.numel() * one.element_size() for one in tensors)
    return Sizes(
        weights=weights,
        trained=sum(one.numel() * one.element_size() for one in trained),
        per_rank=sum(rows + columns for rows, columns in matrices) * element,
        element=element,
        held=0 if language else weights,
        has_base=not language or policy.is_adapter,
    )


class Largest:
    """The bytes of the largest tensor that was seen."""

    def __init__(self) -> None:
        self.bytes = 0

    def see(self, _module: Any, _inputs: Any, output: Any) -> None:
        """A forward hook of torch."""
        self.bytes = max(self.bytes, output.numel() * output.element_size())


@contextmanager
def largest_logits(world: World) -> Iterator[Largest]:
    """Sees the logits that the output head of a language model gives inside; those of ten labels count for nothing."""
    seen = Largest()
    if world.kind != "language":
        yield seen
        return
    policy: Any = world.policy
    handle = policy.model.get_output_embeddings().register_forward_hook(seen.see)
    try:
        yield seen
    finally:
        handle.remove()
