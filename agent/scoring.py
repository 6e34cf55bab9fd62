"""Scores the policy after each stage, and measures the base before the first."""

from dataclasses import replace
from typing import Any, Literal

from perdure.agent.enforcement.projection import line_of
from perdure.agent.life import Life
from perdure.agent.run.events import BaseSaved, EndScored, Measured, Scored, Unscored
from perdure.agent.run.folder import row_name
from perdure.agent.run.stages import BASE, log_commit
from perdure.agent.seeds import derive
from perdure.agent.weights import restore_weights
from perdure.agent.worlds.base_prompts import base_prompts
from perdure.budget import ranks
from perdure.budget.errors import ModelError, RunError
from perdure.budget.files import first_damaged, hashes, remove
from perdure.curriculum.counting import watched
from perdure.curriculum.task import take_unscored
from perdure.eval.scorefile import Score


def measure_base(life: Life) -> None:
    """Sample the base's texts, and score the base (row 0).

    Raises:
        ModelError: the KL of the base to itself is not a number.
    """
    life.logger.phase("measuring the base", stage=0, name="base", stages=len(life.stages))
    prepare_base(life)
    row = life.logger.state.row(0)
    if row is None or not row.committed:
        reading = life.monitor.read(0, [task.name for task in life.tasks])
        if not reading.finite:
            raise ModelError(f"the base model gives a KL of {reading.kl.value} to itself; try model.dtype: float32")
        life.logger.log(Measured(**vars(reading), stage=0, entry=False, final=True))
        base = replace(BASE, weights_sha256=life.world.policy.fingerprint())
        score(life, 0, base.name, base.weights_sha256)
        log_commit(life, 0, base)


def prepare_base(life: Life) -> None:
    """Let the world compute its base's side of the KL, or read it; files that are damaged are made again.

    Raises:
        RunError: what is made in place of damaged files is not what the run began with.
    """
    folder, kept = life.folder.base, life.logger.state.base_files
    row = life.logger.state.row(0)
    fault = None if kept is None else ranks.told(lambda: first_damaged(folder, kept))
    of_older_version = kept is None and row is not None and row.committed
    if fault is not None or (kept is None and not of_older_version):
        ranks.told(lambda: remove(folder) if folder.exists() else None)
    prompts = base_prompts(life.curriculum, life.tasks, life.scorecard.examined, life.world)
    with watched(life.logger.count):
        life.world.prepare_base(prompts, folder, seed=derive(life.curriculum.seed, "base"))
    if kept is None:
        life.logger.log(BaseSaved(files=ranks.told(lambda: hashes(folder))))
    elif fault is not None and ranks.told(lambda: hashes(folder)) != kept:
        raise RunError(f"{fault}, and what this machine makes in its place is other than it was: start a new run")


def score(life: Life, number: int, name: str, weights: str | None = None) -> None:
    """Evaluate every task and benchmark; what the journal already holds for these weights is not repeated.

    `weights` is the policy's fingerprint, where it is known.
    """
    total = len(life.scorecard.names)
    row = life.logger.state.row(number)
    files = row.score_files if row else {}
    scores = life.scorecard.score(life.world.policy, row_name(number, name), weights, number)
    for index, column in enumerate(life.scorecard.names, 1):
        life.logger.phase("scoring", stage=number, name=name, detail=f"{column} ({index} of {total})")
        with watched(life.logger.count):
            scored = next(scores)
        found = scored.score
        if files.get(found.name) != scored.file:
            about: dict[str, Any] = {"kind": found.kind, "truncated": found.truncated, "by_member": found.by_member}
            about["asked"] = found.asked
            life.logger.log(Scored(stage=number, file=scored.file, **about, **figures(found)))
    log_unscored(life, number, "scoring")


def log_unscored(life: Life, number: int, phase: Literal["learning", "scoring"]) -> None:
    """Journal how many answers got 0 without a verdict, a line a task or benchmark that has any."""
    for task in life.scorecard.tasks:
        answers = ranks.totals(take_unscored(task.reward))
        if answers:
            life.logger.log(Unscored(stage=number, task=task.name, phase=phase, answers=answers))


def score_ends(life: Life, number: int, name: str) -> None:
    """Score both ends of the line on which a stage was projected, in full, so that it is seen what the cap cost."""
    folder = life.folder.partial_stage(number, name)
    line = line_of(folder)
    for end, snapshot in line.items():
        restore_weights(life.world.trained, snapshot)
        scores = life.scorecard.score(life.world.policy, f"{row_name(number, name)}@{end}")
        for column in life.scorecard.names:
            life.logger.phase("scoring what the cap cost", stage=number, name=name, detail=column)
            with watched(life.logger.count):
                found = next(scores).score
            life.logger.log(EndScored(stage=number, end=end, **figures(found)))
    if line:
        life.world.policy.restore(folder / "policy")


def figures(score: Score) -> dict[str, Any]:
    """The fields of both kinds of score events."""
    return {"name": score.name, "value": score.value, "stderr": score.stderr, "n": score.n}
