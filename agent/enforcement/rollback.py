"""Rollback: to the latest state that the budget accepts."""

from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.budget.errors import ModelError
from perdure.budget.monitor import Action, Reading


def go_back(monitor: StageMonitor, action: Action, why: str, step: int) -> Reading:
    """To the first state that the budget accepts; those that it does not are passed over and not journaled."""
    name, reading = last_accepted(monitor)
    monitor.intervene(action, why, name, step)
    return reading


def last_accepted(monitor: StageMonitor) -> tuple[str, Reading]:
    """Make the policy the latest state that the budget accepts: its name, and its reading.

    Raises:
        ModelError: there is none.
    """
    for name, step, restore in monitor.states():
        restore()
        reading = monitor.measure(step)
        if monitor.budget.accepts(reading):
            return name, reading
    raise ModelError(
        f"even the base is not within the budget ({monitor.describe(reading)}): its own KL is zero only up to "
        "rounding. Use a larger budget.kl or model.dtype: float32"
    )
