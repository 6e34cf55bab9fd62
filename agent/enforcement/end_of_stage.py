"""Ends a stage: one above its cap, or broken, is recovered, projected, rolled back, or left as it is.

Every remedy is deterministic and writes nothing that a second run of it would not write again, so that a stage that is
killed here ends with the same weights.
"""

from perdure.agent.enforcement.projection import project
from perdure.agent.enforcement.recovery import recover
from perdure.agent.enforcement.rollback import go_back
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.worlds.contract import Outcome
from perdure.budget.monitor import Reading


def end_stage(monitor: StageMonitor, method: str, outcome: Outcome) -> Reading:
    """Bring the stage to the state that it ends with, by the remedies that the budget names; the reading of that state.

    Raises:
        ModelError: not even the base is within the budget.
    """
    step = outcome.steps
    reading = monitor.measure(step)
    remedies = ("broken",) if monitor.fault else monitor.budget.remedies(reading)
    if remedies and remedies != ("stop",):
        monitor.log_reading(reading)
    for remedy in remedies:
        if remedy == "recover":
            reading = recover(monitor, reading, method)
        elif remedy == "project":
            reading = project(monitor, reading)
        elif remedy in ("rollback", "broken"):
            reading = go_back(monitor, remedy, monitor.fault or monitor.describe(reading), step)
        elif outcome.ended == "stopped" and step:
            monitor.intervene("stop", monitor.describe(reading), f"step {step}", step)
        if reading.within:
            break
    return monitor.log_reading(reading, final=True)
