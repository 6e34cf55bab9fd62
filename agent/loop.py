"""The life of an agent, on one page. Nothing here asks which world it is in."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perdure.agent.decide import decide
from perdure.agent.enforcement.end_of_stage import Recovery, line_of, settle, sweep_up
from perdure.agent.enforcement.stage_cap import allotted
from perdure.agent.enforcement.stage_monitor import Guard, State, reading_fields
from perdure.agent.enforcement.steering import controller_of
from perdure.agent.life import Life
from perdure.agent.prices import price
from perdure.agent.run.folder import commit_folder, read_json, write_json
from perdure.agent.run.journal import read_journal
from perdure.agent.run.record import active_seconds
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision
from perdure.agent.worlds.base_prompts import base_prompts
from perdure.agent.worlds.contract import Outcome, SaveAndStop
from perdure.agent.worlds.job import update_job
from perdure.budget.errors import ModelError
from perdure.curriculum.schema import Stage
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for


def live(life: Life) -> None:
    """Live the whole life, or what is left of it.

    Raises:
        KeyboardInterrupt: the user stopped it; what was done is saved.
    """
    try:
        with life.interrupt.listening():
            begin(life)
            for number, stage, task in life.stages:
                if life.folder.stage(number, stage.name).exists():
                    take_up(life, number, stage)
                else:
                    live_stage(life, number, stage, task)
            life.chronicle.tell("finished", seconds=active_seconds(read_journal(life.folder.journal)))
    except (KeyboardInterrupt, SaveAndStop) as error:
        life.chronicle.tell("interrupted")
        raise KeyboardInterrupt from error


def begin(life: Life) -> None:
    """Sample the base's texts, score the base (row 0), and price the stages."""
    life.chronicle.enter("measuring the base", stage=0, name="base", stages=len(life.stages))
    life.world.prepare_base(
        base_prompts(life.curriculum, life.tasks), life.folder.base, seed=derive(life.curriculum.seed, "base")
    )
    row = life.chronicle.record.row(0)
    if row is None or not row.committed:
        reading = life.monitor.read(0, [task.name for task in life.tasks])
        if not reading.finite:
            raise ModelError(f"the base model gives a KL of {reading.kl.value} to itself; try model.dtype: float32")
        life.chronicle.tell("reading", stage=0, **reading_fields(reading, final=True) | {"within": True})
        score(life, 0, "base")
        commit_row(life, 0, {"name": "base", "method": None, "steps": 0})
    price(life)


def live_stage(life: Life, number: int, stage: Stage, task: Task) -> None:
    """Decide, update under the monitor's eye, settle, score, commit."""
    partial = life.folder.partial_stage(number, stage.name)
    partial.mkdir(exist_ok=True)
    settled = partial / "settled.json"
    if settled.exists():
        life.world.policy.restore(partial / "policy")
    else:
        guard = _guard(life, number, stage, partial)
        decision, outcome = update(life, number, stage, task, guard)
        method = life.curriculum.method(decision.method)
        rate = settings_for(method, life.curriculum.train, stage.train).objective.learning_rate
        settle(guard, outcome, Recovery(rate, derive(life.curriculum.seed, "recover", stage.name)))
        keep_policy(life, number, stage, decision, outcome, guard)
    score_ends(life, number, stage.name, partial)
    score(life, number, stage.name)
    life.chronicle.enter("saving", stage=number, name=stage.name)
    shutil.rmtree(partial / "checkpoints", ignore_errors=True)
    sweep_up(partial)
    commit_folder(partial, life.folder.stage(number, stage.name))
    commit_row(life, number, read_json(life.folder.stage(number, stage.name) / "settled.json"))


def update(life: Life, number: int, stage: Stage, task: Task, guard: Guard) -> tuple[Decision, Outcome]:
    """Choose a method, allot its cap, and train by it, without the steps that choosing took."""
    about: dict[str, Any] = {"stage": number, "name": stage.name, "stages": len(life.stages)}
    seed = life.curriculum.seed
    life.chronicle.enter("deciding", **about)
    entry = guard.enter()
    decision = decide(life, number, stage, task, entry)
    cap = allotted(life.curriculum, life.chronicle.record, number, entry, decision.share)
    guard.hold(cap, controller_of(life, number, cap))
    if not guard.may_begin(entry):
        return decision, Outcome(0, "stopped")
    life.chronicle.enter("training", method=decision.method, **about)
    job = update_job(
        life.curriculum,
        life.tasks,
        life.world.policy,
        number,
        life.curriculum.method(decision.method),
        seed=derive(seed, "update", stage.name),
        folder=life.folder.partial_stage(number, stage.name),
        watch=guard.watch,
        controller=guard.controller,
        steps_spent=decision.steps_spent,
    )
    with life.interrupt.may_wait():
        outcome = life.world.update(job)
    if life.interrupt.requested:
        raise KeyboardInterrupt
    return decision, outcome


def keep_policy(life: Life, number: int, stage: Stage, decision: Decision, outcome: Outcome, guard: Guard) -> None:
    """Write the policy that the stage ends with; from here on a kill costs no training."""
    life.chronicle.enter("saving", stage=number, name=stage.name)
    partial = life.folder.partial_stage(number, stage.name)
    shutil.rmtree(partial / "policy", ignore_errors=True)
    life.world.policy.save(partial / "policy")
    about: dict[str, Any] = {"name": stage.name, "method": decision.method, "steps": outcome.steps}
    if guard.controller is not None:
        about["penalty_weight"] = guard.controller.weight
    write_json(partial / "settled.json", about)


def take_up(life: Life, number: int, stage: Stage) -> None:
    """A stage that was committed before: make sure that the journal says so, and take its policy."""
    folder = life.folder.stage(number, stage.name)
    following = life.folder.stage(number + 1, life.curriculum.stages[number].name) if number < len(life.tasks) else None
    if following is None or not following.exists():
        life.world.policy.restore(folder / "policy")
    row = life.chronicle.record.row(number)
    if row is None or not row.committed:
        life.world.policy.restore(folder / "policy")
        commit_row(life, number, read_json(folder / "settled.json"))


def score_ends(life: Life, number: int, name: str, partial: Path) -> None:
    """Where the stage was projected: what the two ends of the line score, so that it is seen what the cap cost."""
    line = line_of(partial)
    for end, snapshot in line.items():
        life.world.restore_snapshot(snapshot)
        for scored in life.scorecard.score(life.world.policy):
            found = scored.score
            life.chronicle.enter("scoring what the cap cost", stage=number, name=name, detail=found.name)
            figures = {"name": found.name, "value": found.value, "stderr": found.stderr, "n": found.n}
            life.chronicle.tell("end_score", stage=number, end=end, **figures)
    if line:
        life.world.policy.restore(partial / "policy")


def score(life: Life, number: int, name: str) -> None:
    """Evaluate every task and benchmark; what the journal already holds for these weights is not repeated."""
    total = len(life.scorecard.names)
    row = life.chronicle.record.row(number)
    files = row.score_files if row else {}
    life.chronicle.enter("scoring", stage=number, name=name)
    for index, scored in enumerate(life.scorecard.score(life.world.policy), 1):
        found = scored.score
        life.chronicle.enter("scoring", stage=number, name=name, detail=f"{found.name} ({index} of {total})")
        if files.get(found.name) != scored.file:
            fields = {"name": found.name, "kind": found.kind, "value": found.value}
            life.chronicle.tell("score", stage=number, stderr=found.stderr, n=found.n, file=scored.file, **fields)


def commit_row(life: Life, number: int, about: dict[str, object]) -> None:
    """Journal that a stage is done."""
    seconds = active_seconds(read_journal(life.folder.journal), number)
    weights = life.world.policy.fingerprint()
    life.chronicle.tell("commit", stage=number, seconds=seconds, weights_sha256=weights, **about)


def _guard(life: Life, number: int, stage: Stage, folder: Path) -> Guard:
    return Guard(
        life.world,
        life.monitor,
        life.chronicle,
        stage=number,
        tasks=[task.name for task in life.tasks[:number]],
        folder=folder,
        earlier=lambda: _earlier_states(life, number),
        interrupted=lambda: life.interrupt.requested,
    )


def _earlier_states(life: Life, number: int) -> Iterator[State]:
    """The policy as it was after each earlier stage, latest first; the base last."""
    for earlier, stage, _ in reversed(life.stages[: number - 1]):
        folder = life.folder.stage(earlier, stage.name) / "policy"
        yield f"the end of stage {earlier}", lambda folder=folder: life.world.policy.restore(folder)  # type: ignore[misc]
    yield "the base", life.world.become_base
