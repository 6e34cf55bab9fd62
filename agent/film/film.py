"""A film: one held-out item, answered by the base and by the policy after a stage. It writes nothing into the run."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from perdure.agent.differences import differences
from perdure.agent.film.clip import Clip, MakeClip
from perdure.agent.prepare import Ready, prepare
from perdure.agent.run.events import Started
from perdure.agent.run.folder import RunFolder, open_folder
from perdure.agent.run.kept import refuse_dropped
from perdure.agent.run.log import View
from perdure.agent.run.record import read_begun, read_record
from perdure.agent.run.report import read_items
from perdure.agent.run.stages import restore_policy
from perdure.agent.run.state import RunState
from perdure.budget.errors import ConfigError, RunError
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task, shown
from perdure.curriculum.worlds.registry import load
from perdure.eval.task_score import SEED


@dataclass(frozen=True)
class Wanted:
    """The film that is asked for; `None`: the last stage that is done, its own task, a start that went otherwise."""

    stage: int | None = None
    task: str | None = None
    start: int | None = None


@dataclass(frozen=True)
class Film:
    """Both clips. `start` is the number of the held-out item, from 0, `noun` the word for it, `prompt` its text.

    `title` says what is filmed, `lines` what each clip ends with.
    """

    stage: int
    name: str
    task: str
    start: int
    noun: str
    prompt: str
    before: Clip
    after: Clip

    @property
    def title(self) -> str:
        return f"{self.task}, {self.noun} {self.start}: {self.prompt}"

    @property
    def lines(self) -> tuple[str, str]:
        after = f"after stage {self.stage}, {self.name}: {self.after.captions[-1]}"
        return f"the base: {self.before.captions[-1]}", after


def film(path: Path, wanted: Wanted, view: View) -> Film:
    """Film a run, which may still be going on.

    Raises:
        ConfigError: what is wanted is not there; a picture cannot be drawn here.
        RunError: no run, a damaged one, one of a world without films, or one whose base or data is another here.
    """
    folder = open_folder(path)
    state, events = read_record(folder) if folder.journal.exists() else (RunState(), [])
    begun, curriculum = read_begun(folder, events)
    make_clip, number = _clip_maker(path, curriculum), _stage(path, wanted.stage, state)
    refuse_dropped(folder, curriculum, number, len(state.done))
    name = curriculum.stages[number - 1].name
    chosen = _task(wanted.task or name, begun)
    ready = prepare(curriculum, view)
    _refuse_another(path, begun, ready, chosen)
    task = next(one for one in (*ready.tasks, *ready.benchmarks.tasks) if one.name == chosen)
    start = _start(wanted.start, task, folder, state, number)
    item, temperature = task.heldout[start], curriculum.evaluation.temperature
    clip = partial(make_clip, item=item, temperature=temperature, seed=SEED)
    view.progress({"phase": "filming the base"})
    before = clip(ready.world.policy)
    restore_policy(ready.world, folder, curriculum, state, number)
    view.progress({"phase": f"filming the policy after stage {number}"})
    after = clip(ready.world.policy)
    return Film(number, name, chosen, start, curriculum.spec.nouns.prompt, shown(item.prompt), before, after)


def _clip_maker(path: Path, curriculum: Curriculum) -> MakeClip:
    if curriculum.spec.film is None:
        raise RunError(f"{path} is a run of the {curriculum.world} world, which has no episodes to film")
    return cast(MakeClip, load(curriculum.spec.film))


def _stage(path: Path, wanted: int | None, state: RunState) -> int:
    done = [row.stage for row in state.done]
    if not done:
        raise RunError(f"{path}: no stage is done yet, so that there is only the base to film")
    if wanted is not None and wanted not in done:
        raise ConfigError(f"--stage {wanted}: {path} has the stages 1 to {done[-1]} done; the base stands beside each")
    return done[-1] if wanted is None else wanted


def _task(wanted: str, begun: Started) -> str:
    names = (*begun.tasks, *begun.benchmarks)
    if wanted not in names:
        near, listed = did_you_mean(wanted, names), f"; it has {', '.join(names)}"
        raise ConfigError(f"--task {wanted!r}: the run has no task or benchmark of that name{near or listed}")
    return wanted


def _refuse_another(path: Path, begun: Started, ready: Ready, task: str) -> None:
    """Refuse a base or held-out items that are not those of the run."""
    data = {one.name: one.fingerprint() for one in ready.tasks} | ready.benchmarks.fingerprints
    now = {"base": ready.world.policy.fingerprint(), f"data.{task}": data.get(task)}
    before = {"base": begun.base_sha256, f"data.{task}": begun.data.get(task)}
    found = [line for key in now for line in differences(key, before[key], now[key])]
    if found:
        listed = "\n  ".join(found)
        raise RunError(
            f"{path} cannot be filmed, since these are not what it began with:\n  {listed}\n"
            "Film it on the machine, and with the versions and data, that it was run with"
        )


def _start(wanted: int | None, task: Task, folder: RunFolder, state: RunState, number: int) -> int:
    """The start that is wanted; else the first whose score differs before and after, else the first."""
    if wanted is not None:
        if not 0 <= wanted < len(task.heldout):
            raise ConfigError(f"--start {wanted}: {task.name!r} has {len(task.heldout)} held-out starts, from 0 on")
        return wanted
    rows = [row for row in state.rows if row.stage in (0, number)]
    before, after = (list((read_items(row, task.name, folder.path) or {}).values()) for row in rows)
    pairs = enumerate(zip(before, after, strict=False))
    return next((index for index, pair in pairs if None not in pair and pair[0] != pair[1]), 0)
