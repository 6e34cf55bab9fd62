"""The contract of a policy: all that the loop, the scorecard and the strategies know of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


class Policy(Protocol):
    """The agent's model now."""

    def respond(
        self,
        prompts: Sequence[Any],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float = 0.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`num_samples` responses to each prompt; greedy at temperature 0, else sampled at `seed`.

        Leaves the global generator states and the model's mode as they were. A policy whose responses have a limit of
        tokens says in `truncated`, a flag a response, which of the last call ended there.
        """
        ...

    def fingerprint(self) -> str:
        """SHA-256 of the weights (names, dtypes, shapes and bytes).

        A policy whose answers depend on more than these, such as a prompt of its own, says in `meaning`, a text, on
        what: base scores are kept apart by both.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the policy to `folder` (safetensors, tokenizer and configuration) so that others can load it."""
        ...

    def restore(self, folder: Path) -> None:
        """Load the weights saved in `folder`, in place."""
        ...
