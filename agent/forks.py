"""Forks of the policy: each candidate of a race trains on one of its own, and the winner's becomes the stage's.

A candidate's update is the stage's own: its seed, its learning-rate schedule, its readings, its cap, its checkpoints,
in a folder `race/METHOD` inside the stage's. Two things differ: it neither trains on nor replays the items on which
candidates are compared, as the stage then does not, either; and at a rung it is paused by a checkpoint, from which it
goes on to the next. So the winner ends with the weights that it would have, had the stage been its own from the start.

A candidate at a rung is kept as it is until it is measured, and what a rung measured is written as soon as it is known.
Killed anywhere, a race reads what it knows, goes on from the candidates' checkpoints, and comes to the same choice.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from perdure.agent.enforcement.fork_monitor import READINGS, ForkMonitor, Rung, readings_of
from perdure.agent.enforcement.paused import PAUSED, WEIGHTS, Paused, forget_paused, read_paused
from perdure.agent.enforcement.stage_cap import controller_for
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.life import Life
from perdure.agent.run.folder import read_json, write_json
from perdure.agent.run.steps import waiting_steps
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Decision, TrialResult
from perdure.agent.trial import TrialRunner
from perdure.agent.weights import restore_weights, write_weights
from perdure.agent.worlds.contract import SaveAndStop
from perdure.agent.worlds.job import update_job
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.budget.files import make_folder
from perdure.eval.preserve_rng import preserve_rng

RACE = "race"
"""Inside the folder of the stage, until a candidate is chosen."""

START = "start.safetensors"
"""The weights that every candidate begins with."""

ABOUT = "race.json"
"""The items that the forks leave out, the samples an item, and the steps by which they are shorter."""


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
            ConfigError: a method that cannot learn the task, a number below 1, or other numbers than the forks of this
                stage were made with.
            KeyboardInterrupt: the user asked to stop during the last step of the candidate.
            SaveAndStop: the user asked to stop before it.
        """
        self.trials.check(method, {"rung": rung, "num_prompts": self.num_prompts, "k": self.k}, "fork")
        ranks.told(lambda: self._begin(spent))
        known = ranks.told(lambda: self._read(method, rung))
        if known is not None:
            return known
        before = None if rung == 1 else ranks.told(lambda: self._read(method, rung - 1))
        halfway = (steps or 0) // 2 if before is None else 0
        found = self._advanced(method, Rung(rung, steps, seconds, halfway), spent, before)
        ranks.told(lambda: write_json(self._file(method, rung), asdict(found)))
        ranks.told(lambda: forget_paused(self._folder / method))
        return ranks.told(lambda: found)

    def drop(self, method: str) -> None:
        """See `Forks.drop`."""
        ranks.told(lambda: shutil.rmtree(self._folder / method, ignore_errors=True))

    def _begin(self, spent: int) -> None:
        """Note with which numbers the forks of the stage are made, or refuse others."""
        path, mine = self._folder / ABOUT, {"num_prompts": self.num_prompts, "k": self.k, "spent": spent}
        if not path.exists():
            make_folder(self._folder)
            write_json(path, mine)
        elif (noted := read_json(path)) != mine:
            raise ConfigError(f"fork: the forks of this stage were made with {noted}, not {mine}; give the same to all")

    def _advanced(self, method: str, rung: Rung, spent: int, before: TrialResult | None) -> TrialResult:
        trials = self.trials
        begun, asked = time.perf_counter(), trials.answers
        kept = ranks.told(lambda: read_paused(self._folder / method, rung.number))
        measured = trials.measure_before(method, self.num_prompts, self.k)
        with preserve_rng(), self._forked():
            paused = self._trained(method, rung, spent) if kept is None else self._taken_up(method, kept)
            figures = trials.figures(method, measured, self.num_prompts, self.k, broken=paused.broken)
        found = TrialResult(
            method=method,
            steps=paused.steps,
            **figures,
            seconds=time.perf_counter() - begun + (0.0 if kept is None else kept.seconds),
            seconds_a_step=paused.seconds_a_step(before),
            kl_midway=paused.kl_midway,
            answers=trials.answers - asked,
            ended=paused.ended,
        )
        return found if before is None else _since(before, found)

    def _taken_up(self, method: str, kept: Paused) -> Paused:
        """The policy as the candidate was at the rung."""
        restore_weights(self.trials.life.world.trained, self._folder / method / WEIGHTS)
        ranks.wait()
        return kept

    def _trained(self, method: str, rung: Rung, spent: int) -> Paused:
        """Train to the rung, or until the cap or a fault ends it before."""
        trials, life, folder = self.trials, self.trials.life, self._folder / method
        ranks.told(lambda: make_folder(folder))
        monitor = ForkMonitor(life, trials.number, trials.stage.name, folder, method, rung)
        monitor.set_cap(trials.cap, controller_for(life, trials.number, trials.cap))
        self._train(monitor, method, spent)
        monitor.save_readings()
        if monitor.paused is not None:
            return monitor.paused
        if monitor.fault is None and not monitor.budget.config.enforces("stop") and not monitor.put_back():
            restore_weights(life.world.trained, self._folder / START)
            ranks.wait()
        return monitor.pause(ended=True)

    def _train(self, monitor: ForkMonitor, method: str, spent: int) -> None:
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
        with life.interrupt.may_wait():
            try:
                life.world.update(job)
            except SaveAndStop:
                if ranks.any_of(life.interrupt.requested):
                    raise
        if ranks.any_of(life.interrupt.requested):
            raise KeyboardInterrupt

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


def adopt(life: Life, decision: Decision, monitor: StageMonitor, steps: int) -> None:
    """Make the fork of the chosen method the stage's own update so far, and remove all; without a race, nothing.

    A fork that left out other items, is shorter by other steps or was held to another cap than the decision says is
    removed too, so that the stage begins anew. The fork's readings are journaled, and its steps told to those who
    follow the run; `steps` are the stage's. Killed here it is done again.
    """
    race = race_folder(life, monitor.stage, monitor.name)
    if not ranks.told(race.exists):
        return
    if ranks.told(lambda: _fits(race, decision)):
        winner = race / decision.method
        for event in ranks.told(lambda: readings_of(winner)):
            life.logger.log(event.now())
        for step in ranks.told(lambda: waiting_steps(winner)):
            life.logger.step(step, steps)
        ranks.told(lambda: _move(winner, monitor.folder))
    ranks.told(lambda: shutil.rmtree(race))


def _fits(race: Path, decision: Decision) -> bool:
    """True if the forks were made as the decision has the stage; without a note nothing is left of them.

    They were held to the cap of the budget's allocation, so that one with a share of its own begins anew.
    """
    path, spent = race / ABOUT, 0 if decision.whole_schedule else decision.steps_spent
    made = read_json(path) if path.exists() else {}
    return decision.share is None and (made.get("num_prompts"), made.get("spent")) == (decision.set_aside, spent)


def _move(winner: Path, stage: Path) -> None:
    for path in sorted(winner.iterdir()) if winner.exists() else ():
        if path.name not in (READINGS, PAUSED, WEIGHTS):
            path.rename(stage / path.name)
