"""What a strategy returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perdure.curriculum.train import Method


@dataclass(frozen=True)
class Decision:
    """A method, why it was chosen in one line, and the figures behind it."""

    method: Method
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
