"""The life of an agent, on one page. Nothing here asks which world it is in."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from perdure.agent.chronicle import Chronicle
from perdure.agent.folder import RunFolder, commit_folder, read_json, write_json
from perdure.agent.guard import Guard, State
from perdure.agent.interrupt import Interrupt
from perdure.agent.journal import read_journal
from perdure.agent.methods.contract import Outcome, SaveAndStop
from perdure.agent.record import active_seconds
from perdure.agent.seeds import derive
from perdure.agent.strategies import Decision, choose
from perdure.agent.world import World
from perdure.budget.errors import ModelError
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.sources.prompts import load_prompts
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.eval.scorecard import Scorecard


@dataclass
class Life:
    """All that a life needs. What is done is in the folder; nothing here has to survive a kill."""

    curriculum: Curriculum
    tasks: tuple[Task, ...]
    world: World
    monitor: Monitor
    scorecard: Scorecard
    folder: RunFolder
    chronicle: Chronicle
    interrupt: Interrupt = field(default_factory=Interrupt)

    @property
    def stages(self) -> list[tuple[int, Stage, Task]]:
        """Number (from 1), stage and task."""
        return [
            (number, stage, task)
            for number, (stage, task) in enumerate(zip(self.curriculum.stages, self.tasks, strict=True), 1)
        ]


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
    """Sample the base's texts and score the base: row 0."""
    life.chronicle.enter("measuring the base", stage=0, name="base", stages=len(life.stages))
    life.world.prepare_base(
        budget_prompts(life.curriculum, life.tasks), life.folder.base, seed=derive(life.curriculum.seed, "base")
    )
    row = life.chronicle.record.row(0)
    if row is None or not row.committed:
        reading = life.monitor.read(0, [task.name for task in life.tasks])
        if not reading.finite:
            raise ModelError(f"the base model gives a KL of {reading.kl.value} to itself; try model.dtype: float32")
        fields = asdict(reading) | {"within": True, "entry": False, "final": True}
        life.chronicle.tell("reading", stage=0, **fields)
        score(life, 0, "base")
        commit_row(life, 0, {"name": "base", "method": None, "steps": 0})


def live_stage(life: Life, number: int, stage: Stage, task: Task) -> None:
    """Decide, update under the monitor's eye, score, commit."""
    partial = life.folder.partial_stage(number, stage.name)
    partial.mkdir(exist_ok=True)
    settled = partial / "settled.json"
    if settled.exists():
        life.world.policy.restore(partial / "policy")
    else:
        guard = _guard(life, number, stage, partial)
        decision, outcome = update(life, number, stage, task, guard)
        guard.settle(outcome.steps, ended_early=outcome.ended == "stopped")
        keep_policy(life, number, stage, decision, outcome)
    score(life, number, stage.name)
    life.chronicle.enter("saving", stage=number, name=stage.name)
    shutil.rmtree(partial / "checkpoints", ignore_errors=True)
    for leftover in partial.glob("good.*"):
        leftover.unlink()
    commit_folder(partial, life.folder.stage(number, stage.name))
    commit_row(life, number, read_json(life.folder.stage(number, stage.name) / "settled.json"))


def update(life: Life, number: int, stage: Stage, task: Task, guard: Guard) -> tuple[Decision, Outcome]:
    """Choose a method and train by it."""
    about: dict[str, Any] = {"stage": number, "name": stage.name, "stages": len(life.stages)}
    seed = life.curriculum.seed
    life.chronicle.enter("deciding", **about)
    entry = guard.enter()
    decision = choose(life.curriculum, stage, task, life.world.policy, entry, derive(seed, "strategy", stage.name))
    life.chronicle.tell("decision", stage=number, name=stage.name, **asdict(decision))
    if not guard.may_begin(entry):
        return decision, Outcome(0, "stopped")
    life.chronicle.enter("training", method=decision.method, **about)
    settings = settings_for(decision.method, life.curriculum.train, stage.train)
    with life.interrupt.may_wait():
        outcome = life.world.update(
            decision.method,
            task,
            settings,
            seed=derive(seed, "update", stage.name),
            folder=life.folder.partial_stage(number, stage.name),
            watch=guard.watch,
        )
    if life.interrupt.requested:
        raise KeyboardInterrupt
    return decision, outcome


def keep_policy(life: Life, number: int, stage: Stage, decision: Decision, outcome: Outcome) -> None:
    """Write the policy that the stage ends with; from here on a kill costs no training."""
    life.chronicle.enter("saving", stage=number, name=stage.name)
    partial = life.folder.partial_stage(number, stage.name)
    shutil.rmtree(partial / "policy", ignore_errors=True)
    life.world.policy.save(partial / "policy")
    about = {"name": stage.name, "method": decision.method, "steps": outcome.steps}
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


def budget_prompts(curriculum: Curriculum, tasks: Sequence[Task]) -> dict[str, list[object]]:
    """The prompts on which the budget's texts are sampled, by task; `generic` for the fixed general set."""
    budget = curriculum.budget
    if budget.generic is not None:
        return {"generic": load_prompts(Path(budget.generic), budget.num_prompts)}
    return {task.name: [item.prompt for item in task.train[: budget.num_prompts]] for task in tasks}
