"""Forks of the policy: each candidate of a race trains on one of its own, and the winner's becomes the stage's.

A candidate's update is the stage's own: its seed, its learning-rate schedule, its readings, its cap, its checkpoints,
in a folder `race/METHOD` inside the stage's. Two things differ: it leaves out the items on which candidates are
compared, as the stage then does, too; and at a rung it is paused by a checkpoint, from which it goes on to the next. So
the winner ends with the weights that it would have, had the stage been its own from the start.

What a rung measured is written as soon as it is known. Killed anywhere, a race reads what it knows, goes on from the
candidates' checkpoints, and comes to the same choice.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from perdure.agent.enforcement.fork_monitor import READINGS, ForkMonitor, Rung, readings_of
from perdure.agent.enforcement.stage_cap import controller_for
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.life import Life
from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.steps import waiting_steps
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import TrialResult
from perdure.agent.trial import TrialRunner
from perdure.agent.weights import restore_weights, write_weights
from perdure.agent.worlds.contract import SaveAndStop
from perdure.agent.worlds.job import update_job
from perdure.budget import ranks
from perdure.budget.files import make_folder
from perdure.eval.preserve_rng import preserve_rng

RACE = "race"
"""Inside the folder of the stage, until a candidate is chosen."""

START = "start.safetensors"
"""The weights that every candidate begins with."""


@dataclass(frozen=True)
class StageForks:
    """The forks of one stage; see `perdure.agent.strategies.contract.Forks`."""

    trials: TrialRunner
    num_prompts: int
    k: int

    @property
    def _folder(self) -> Path:
        return race_folder(self.trials.life, self.trials.number, self.trials.stage.name)

    def advance(
        self, method: str, rung: int, *, spent: int, steps: int | None = None, seconds: float | None = None
    ) -> TrialResult:
        """See `Forks.advance`.

        Raises:
            ConfigError: a method that cannot learn the task.
            KeyboardInterrupt: the user asked to stop during the last step of the candidate.
            SaveAndStop: the user asked to stop before it.
        """
        self.trials.check(method, {"rung": rung})
        known = ranks.told(lambda: self._read(method, rung))
        if known is not None:
            return known
        before = None if rung == 1 else ranks.told(lambda: self._read(method, rung - 1))
        halfway = (steps or 0) // 2 if before is None else 0
        found = self._advanced(method, Rung(steps, seconds, halfway), spent, before)
        ranks.told(lambda: write_json(self._file(method, rung), asdict(found)))
        return ranks.told(lambda: found)

    def drop(self, method: str) -> None:
        """See `Forks.drop`."""
        ranks.told(lambda: shutil.rmtree(self._folder / method, ignore_errors=True))

    def _advanced(self, method: str, rung: Rung, spent: int, before: TrialResult | None) -> TrialResult:
        trials, life = self.trials, self.trials.life
        begun, asked, folder = time.perf_counter(), trials.answers, self._folder / method
        ranks.told(lambda: make_folder(folder))
        measured = trials.measure_before(self.num_prompts, self.k)
        with preserve_rng(), self._forked():
            monitor = ForkMonitor(life, trials.number, trials.stage.name, folder, method, rung)
            monitor.set_cap(trials.cap, controller_for(life, trials.number, trials.cap))
            ended = self._train(method, monitor, spent)
            monitor.save_readings()
            broken = monitor.fault is not None
            if ended and not broken and not monitor.budget.config.enforces("stop") and not monitor.put_back():
                restore_weights(life.world.trained, self._folder / START)
            figures = trials.figures(measured, self.num_prompts, self.k, broken=broken)
        trained = monitor.seconds + (0.0 if before is None else before.seconds_a_step * before.steps)
        found = TrialResult(
            method=method,
            steps=monitor.steps,
            **figures,
            seconds=time.perf_counter() - begun,
            seconds_a_step=trained / max(1, monitor.steps),
            kl_midway=monitor.kl_midway,
            answers=trials.answers - asked,
            ended=ended,
        )
        return found if before is None else _since(before, found)

    def _train(self, method: str, monitor: ForkMonitor, spent: int) -> bool:
        """Train to the rung; true if the cap or a fault ended it before."""
        trials, life = self.trials, self.trials.life
        job = update_job(
            life.curriculum,
            life.tasks,
            life.world.policy,
            trials.number,
            life.curriculum.method(method),
            left_out=self.num_prompts,
            seed=derive(life.curriculum.seed, "update", trials.stage.name),
            folder=monitor.folder,
            watch=monitor.on_step,
            saving=monitor.saving,
            controller=monitor.controller,
            steps_spent=spent,
        )
        paused = False
        with life.interrupt.may_wait():
            try:
                life.world.update(job)
            except SaveAndStop:
                paused = True
                if ranks.any_of(life.interrupt.requested):
                    raise
        if ranks.any_of(life.interrupt.requested):
            raise KeyboardInterrupt
        return not paused

    @contextmanager
    def _forked(self) -> Iterator[None]:
        """The policy as the stage begins with it, before, inside and after."""
        world, start = self.trials.life.world, self._folder / START
        ranks.told(lambda: None if start.exists() else write_weights(world.trained, start))
        try:
            yield
        finally:
            restore_weights(world.trained, start)
            ranks.wait()

    def _file(self, method: str, rung: int) -> Path:
        return self._folder / f"{method}.rung-{rung}.json"

    def _read(self, method: str, rung: int) -> TrialResult | None:
        path = self._file(method, rung)
        return TrialResult(**read_json(path)) if path.exists() else None


def _since(before: TrialResult, found: TrialResult) -> TrialResult:
    """The figures of a later rung, with what the earlier ones took, and their KL as the one before its end."""
    return replace(
        found,
        seconds=before.seconds + found.seconds,
        answers=before.answers + found.answers,
        kl_midway=before.kl,
        midway=float(before.steps),
    )


def race_folder(life: Life, number: int, name: str) -> Path:
    """The folder of a stage's race."""
    return life.folder.partial_stage(number, name) / RACE


def adopt(life: Life, method: str, monitor: StageMonitor) -> None:
    """Make the fork of the chosen method the stage's own update so far, and remove the others; without a race, nothing.

    Its readings are journaled, and its steps told to those who follow the run. Killed here it is done again.
    """
    race = race_folder(life, monitor.stage, monitor.name)
    if not ranks.told(race.exists):
        return
    winner = race / method
    for event in ranks.told(lambda: readings_of(winner)):
        life.logger.log(event.now())
    for step in ranks.told(lambda: waiting_steps(winner)):
        life.logger.step(step, step.step)
    ranks.told(lambda: _move(winner, monitor.folder))
    ranks.told(lambda: shutil.rmtree(race))


def _move(winner: Path, stage: Path) -> None:
    for path in sorted(winner.iterdir()) if winner.exists() else ():
        if path.name != READINGS:
            path.rename(stage / path.name)
