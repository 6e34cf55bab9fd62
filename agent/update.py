"""The update of one stage: its method trains the policy, watched by the monitor."""

from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.life import Life
from perdure.agent.scoring import log_unscored
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision
from perdure.agent.worlds.contract import Outcome
from perdure.agent.worlds.job import update_job
from perdure.budget import ranks


def update(life: Life, decision: Decision, monitor: StageMonitor) -> Outcome:
    """Train by the decided method, without the steps that deciding took.

    Raises:
        KeyboardInterrupt: the user asked to stop during the last step.
        SaveAndStop: the user asked to stop before it.
    """
    number, name = monitor.stage, monitor.name
    life.logger.phase("training", method=decision.method, stage=number, name=name, stages=len(life.stages))
    job = update_job(
        life.curriculum,
        life.tasks,
        life.world.policy,
        number,
        life.curriculum.method(decision.method),
        seed=derive(life.curriculum.seed, "update", name),
        folder=monitor.folder,
        watch=monitor.on_step,
        saving=monitor.saving,
        controller=monitor.controller,
        steps_spent=decision.steps_spent,
    )
    with life.interrupt.may_wait():
        outcome = life.world.update(job)
    log_unscored(life, number, "learning")
    if ranks.any_of(life.interrupt.requested):
        raise KeyboardInterrupt
    return outcome
