"""The defaults of the vision world's objectives, which stand in `curriculum/worlds/vision/spec.py`."""

from typing import Any

from perdure.agent.worlds import schedule
from perdure.curriculum.settings import Common


def default(objective: str, settings: Common, name: str) -> Any:
    """A setting, or what the objective does without it."""
    return schedule.default("vision", objective, settings, name)
