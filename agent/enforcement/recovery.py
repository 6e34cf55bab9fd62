"""Recovery: distil from the base until the KL is within the cap."""

from collections.abc import Callable

from perdure.agent.enforcement.stage_monitor import StageMonitor, fault
from perdure.agent.seeds import derive
from perdure.agent.weights import HostCopy
from perdure.agent.worlds.contract import Progress
from perdure.budget.monitor import Reading
from perdure.curriculum.train import settings_for

RECOVERY_RATE = 1e-4
"""The learning rate of the recovery, where neither it nor the stage names one."""


def recover(monitor: StageMonitor, ended: Reading, method: str) -> Reading:
    """Distil from the base until the KL is within the cap, or the steps are used up.

    One that ends farther away than it began, or broken, is undone: a learning rate that took the policy far away may
    be too high to bring it back.
    """
    life, config = monitor.life, monitor.budget.config.recover
    curriculum = life.curriculum
    stage = curriculum.stages[monitor.stage - 1]
    settings = settings_for(curriculum.method(method), curriculum.train, stage.train)
    rate = config.learning_rate or settings.objective.learning_rate or RECOVERY_RATE
    seed = derive(curriculum.seed, "recover", monitor.name)
    monitor.logger.phase("recovering", stage=monitor.stage)
    before = HostCopy()
    before.take(monitor.world.trained)
    steps = monitor.world.recover(config, rate, seed=seed, watch=_watch(monitor, ended.step, config.every))
    reading = monitor.measure(ended.step)
    told = {"steps": steps, "kl_before": ended.kl.value, "kl_after": reading.kl.value}
    undone = not reading.upper_bound < ended.upper_bound
    judged = {"within": reading.within, "undone": undone}
    target = f"{steps} steps of distillation from the base" + (", undone since the KL did not fall" if undone else "")
    monitor.intervene("recover", monitor.describe(ended), target, ended.step, **told, **judged)
    if undone:
        before.put_back(monitor.world.trained)
    return ended if undone else reading


def _watch(monitor: StageMonitor, step: int, every: int) -> Callable[[Progress], bool]:
    def watch(progress: Progress) -> bool:
        monitor.logger.show_step(progress.step, progress.max_steps, progress.loss, progress.reward)
        if fault(progress) is not None:
            return True
        return progress.step % every == 0 and monitor.measure(step).within

    return watch
