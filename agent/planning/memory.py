"""The peak memory of an update by method, computed from the sizes of all that it must hold at once.

Counted are the weights, their gradients, the optimiser's moments, the copies that a method keeps beside them, the
largest logits with their gradient and, on a CPU, the last good state, which is in the host's memory. Not counted are
the activations between (which grow with the batch and the length, and shrink with `activation_checkpointing`), the
key-value cache of a sampler, and the libraries themselves.
"""

from dataclasses import dataclass
from typing import Any

from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method, Sizes


@dataclass(frozen=True)
class Memory:
    """The bytes that an update holds at once."""

    weights: int
    gradients: int
    optimiser: int
    copies: int
    logits: int
    good_state: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.copies + self.logits + self.good_state


def memory_of(method: Method, settings: MethodSettings, sizes: Sizes, logits: int, *, on_host: bool) -> Memory:
    """The peak of one method; `logits` are the bytes of the largest ones that were seen, `on_host`: it is a CPU's.

    A modifier whose factors are trained in place of the weights computes the gradients of the weights, and those of
    the factors from them; the optimiser's moments are of the factors alone.
    """
    parts: list[tuple[Any, Any]] = [(method.objective, settings.objective)]
    parts += [(one, settings.modifiers[one.name]) for one in method.modifiers]
    factors = sum(spec.factors(own, sizes) for spec, own in parts)
    return Memory(
        weights=sizes.weights,
        gradients=sizes.trained + factors,
        optimiser=2 * factors or method.objective.moments(settings.objective, sizes),
        copies=sizes.held + sum(spec.copies(own, sizes) for spec, own in parts),
        logits=2 * logits,
        good_state=sizes.trained * on_host,
    )
