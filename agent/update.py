"""The update of one stage: its method trains the policy, watched by the monitor."""

from dataclasses import replace

from perdure.agent.enforcement.averaging import NAME as AVERAGE
from perdure.agent.enforcement.averaging import average, keep_start
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.forks import adopt
from perdure.agent.life import Life
from perdure.agent.scoring import log_unscored
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision
from perdure.agent.worlds.contract import Outcome, Progress, Watch
from perdure.agent.worlds.job import update_job
from perdure.agent.worlds.registry import stage_steps
from perdure.budget import ranks


def update(life: Life, decision: Decision, monitor: StageMonitor) -> Outcome:
    """Train by the decided method, without the steps that deciding took; then average, where the method says so.

    Raises:
        KeyboardInterrupt: the user asked to stop during the last step.
        SaveAndStop: the user asked to stop before it.
    """
    number, name = monitor.stage, monitor.name
    cut = _Cut(monitor.on_step, decision.steps_spent if decision.whole_schedule else 0)
    method = life.curriculum.method(decision.method)
    job = update_job(
        life.curriculum,
        life.tasks,
        life.world.policy,
        number,
        method,
        seed=derive(life.curriculum.seed, "update", name),
        folder=monitor.folder,
        watch=cut,
        saving=monitor.saving,
        controller=monitor.controller,
        left_out=decision.set_aside,
        steps_spent=0 if decision.whole_schedule else decision.steps_spent,
    )
    averaging = job.settings.modifiers.get(AVERAGE)
    if averaging is not None:
        keep_start(monitor, averaging)
    adopt(life, decision, monitor, stage_steps(life.curriculum, method, job.settings.objective, len(job.task.train)))
    life.logger.phase("training", method=decision.method, stage=number, name=name, stages=len(life.stages))
    with life.interrupt.may_wait():
        outcome = life.world.update(job)
    log_unscored(life, number, "learning")
    if ranks.any_of(life.interrupt.requested):
        raise KeyboardInterrupt
    if averaging is not None and outcome.steps and monitor.fault is None:
        average(monitor, averaging, outcome.steps)
    return replace(outcome, ended="completed") if cut.acted else outcome


class _Cut:
    """A watch that ends the update so many steps before its last."""

    def __init__(self, watch: Watch, less: int) -> None:
        self._watch, self._less = watch, less
        self.acted = False

    def __call__(self, progress: Progress) -> bool:
        if self._watch(progress):
            return True
        self.acted = 0 < self._less >= progress.max_steps - progress.step
        return self.acted
