"""How much memory an update takes at its peak, by method: computed from the sizes of what it must hold at once.

Counted are the weights, their gradients, AdamW's two moments, the copies that a method keeps beside them, and the
largest logits with their gradient. Not counted are the activations between (which grow with the batch and the length,
and shrink with `activation_checkpointing`), the key-value cache of a sampler, and the libraries themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from perdure.agent.worlds.contract import World
from perdure.curriculum.settings import Common
from perdure.curriculum.worlds.contract import Method

KL_TERM: frozenset[Method] = frozenset({"rl", "chord", "gate", "rl_kl"})
"""The methods whose own KL term, at a `beta` above 0, takes a second copy of the base."""

KL_TERM_ALWAYS: frozenset[Method] = frozenset({"rl_kl"})
"""Those of them whose `beta` is above 0 where the settings say nothing."""

ANCHORED: frozenset[Method] = frozenset({"ewc", "l2"})
"""The methods that keep the trained weights as the stage began with them; `ewc` their Fisher information, too."""

FLOAT32 = 4
"""Bytes of what is float32 whatever the weights are: Fisher information, the teacher of `sdft`, factors of `lora`."""


@dataclass(frozen=True)
class Sizes:
    """Of a policy, in bytes: all its weights, those that are trained, the matrices among them whose update may have a
    low rank, and the factors of such an update a unit of rank.

    `element` is that of one weight. `held`: a copy of the base that is there anyway. `has_base`: no method needs
    another one, since the base is held, or is the model with its adapter off.
    """

    weights: int
    trained: int
    matrices: int
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
    """The peak of one method; `logits` are the bytes of the largest ones that were seen.

    `lora` computes the gradients of the weights themselves, and those of its factors from them; only the optimiser's
    moments are of the factors alone (`agent/worlds/language/methods/low_rank.py`).
    """
    factors = _factors(settings, sizes) if method == "lora" else 0
    return Memory(
        weights=sizes.weights,
        gradients=sizes.trained + factors,
        optimiser=2 * (factors or sizes.trained),
        copies=sizes.held + _copies(method, settings, sizes),
        logits=2 * logits,
    )


def _copies(method: Method, settings: Common, sizes: Sizes) -> int:
    """A second model for the base where there is none yet, a teacher in float32, anchors, or where `lora` began."""
    in_float32 = sizes.trained // sizes.element * FLOAT32
    if method in ANCHORED:
        return sizes.trained + (in_float32 if method == "ewc" else 0)
    if method == "lora":
        return sizes.matrices + _factors(settings, sizes)
    if method == "sdft":
        return in_float32
    beta = getattr(settings, "beta", None)
    has_term = method in KL_TERM_ALWAYS if beta is None else beta > 0
    if method == "tilt" or (method in KL_TERM and has_term):
        return 0 if sizes.has_base else sizes.weights
    return 0


def _factors(settings: Common, sizes: Sizes) -> int:
    return sizes.per_rank * int(getattr(settings, "r", 1))


def sizes_of(world: World) -> Sizes:
    """What the policy of a world holds."""
    policy: Any = world.policy
    language = world.kind == "language"
    tensors = list(policy.model.parameters()) if language else list(policy.params.values())
    trained = [one for one in tensors if one.requires_grad] if language else tensors
    matrices = list(_matrices(policy, language=language).values())
    element = trained[0].element_size()
    weights = sum(one.numel() * one.element_size() for one in tensors)
    return Sizes(
        weights=weights,
        trained=sum(one.numel() * one.element_size() for one in trained),
        matrices=sum(one.numel() * one.element_size() for one in matrices),
        per_rank=sum(sum(one.shape[-2:]) for one in matrices) * FLOAT32,
        element=element,
        held=0 if language else weights,
        has_base=not language or policy.is_adapter,
    )


def _matrices(policy: Any, *, language: bool) -> dict[str, Any]:
    """Those whose update may have a low rank, as the world's `lora` has it."""
    if language:
        from perdure.agent.worlds.language.methods.lora import matrices

        return matrices(policy.model)
    from perdure.agent.worlds.vision.mlp import matrices as of_stack

    return of_stack(policy.params)


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
