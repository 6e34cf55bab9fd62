"""A run, on one page. Nothing here asks which world it is in.

Before the first stage the base is measured and the stages are priced. In each stage the strategy decides the method,
the method updates the policy while the monitor watches its KL, a policy that ends above its cap is brought back, and
every task and benchmark is scored. What is done is in the run folder: a run that was killed goes on from there.
"""

from perdure.agent.decide import decide
from perdure.agent.enforcement.end_of_stage import end_stage
from perdure.agent.enforcement.stage_cap import cap_for, controller_for
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.life import Life
from perdure.agent.notices import log_notices
from perdure.agent.prices import price
from perdure.agent.run.events import Finished, Interrupted
from perdure.agent.run.stages import SavedStage, commit_stage, is_committed, resume_stage, save_stage, taken_up
from perdure.agent.scoring import measure_base, score, score_ends
from perdure.agent.tracking.follow import tracked
from perdure.agent.update import update
from perdure.agent.worlds.contract import Outcome, SaveAndStop
from perdure.budget.heap import young_heap
from perdure.curriculum.schema import Stage
from perdure.curriculum.task import Task


def run_curriculum(life: Life) -> None:
    """Run every stage that is not done yet.

    Raises:
        KeyboardInterrupt: the user stopped it; what was done is saved.
    """
    try:
        with young_heap(), tracked(life), life.interrupt.listening():
            begin(life)
            for number, stage, task in life.stages:
                if is_committed(life, number):
                    resume_stage(life, number)
                else:
                    run_stage(life, number, stage, task)
            life.logger.log(Finished(seconds=life.logger.active_seconds()))
    except (KeyboardInterrupt, SaveAndStop) as error:
        life.logger.log_last(Interrupted())
        raise KeyboardInterrupt from error


def begin(life: Life) -> None:
    """Measure the base and price the stages."""
    measure_base(life)
    price(life)


def run_stage(life: Life, number: int, stage: Stage, task: Task) -> None:
    """Learn the task, score the policy, commit the stage."""
    saved = taken_up(life, number, stage) or learn(life, number, stage, task)
    score_ends(life, number, stage.name)
    score(life, number, stage.name, saved.weights_sha256)
    commit_stage(life, number, saved)


def learn(life: Life, number: int, stage: Stage, task: Task) -> SavedStage:
    """Decide, update the policy under the monitor, bring it within its cap, and save it."""
    monitor = StageMonitor(life, number, stage.name)
    entry = monitor.start()
    decision = decide(life, number, stage, task, entry)
    cap = cap_for(life.curriculum, life.logger.state, number, entry, decision.share)
    monitor.set_cap(cap, controller_for(life, number, cap))
    outcome = Outcome(0, "stopped")
    if monitor.has_budget(entry):
        outcome = update(life, decision, monitor)
    end_stage(monitor, decision.method, outcome)
    log_notices(life, number, stage, task, outcome)
    monitor.record.close(outcome.steps)
    return save_stage(life, number, SavedStage(stage.name, decision.method, outcome.steps, monitor.penalty_weight))
