"""A law to test with: whatever a test is about is said there, and the rest is here."""

from typing import Any

from perdure.budget.law.saved import Coverage, Law


def a_law(**changes: Any) -> Law:
    """Forgetting is a tenth of the KL, give or take 0.01, up to 1 nat."""
    said = {
        "world": "vision",
        "base": "a-base",
        "unit": "token",
        "prompts": "task",
        "benchmarks": ("fashion",),
        "kl": (0.0, 1.0),
        "forgetting": (0.0, 0.1),
        "width_kl": (0.0, 1.0),
        "below": (0.01, 0.01),
        "above": (0.01, 0.01),
        "level": 0.95,
        "coverage": Coverage(0.95, None, None, 8, 4),
        "coverage_methods": None,
        "methods": ("sft",),
        "runs": 4,
        "points": 8,
    }
    return Law(**(said | changes))
