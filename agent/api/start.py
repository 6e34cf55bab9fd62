"""`perdure.run`: a run from a curriculum to its end."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perdure.agent.api.lines import Lines
from perdure.agent.api.read import CurriculumSource, read_source
from perdure.agent.api.run import Run
from perdure.agent.run.find import RUNS
from perdure.agent.run.folder import RunFolder, check_free, disk_explained, fresh_path, locked, open_folder
from perdure.agent.run.log import NullView, View
from perdure.agent.run.record import read_begun, read_record
from perdure.agent.run.state import RunState
from perdure.budget.errors import ConfigError, GateError, RunError
from perdure.curriculum.schema import Curriculum


def run(
    curriculum: CurriculumSource,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    verbose: bool = True,
) -> Run:
    """Run a curriculum to its end, and return the run.

    Args:
        curriculum: a YAML file, the name of a shipped curriculum, or a dict as the file would hold.
        output_dir: the run's folder, which must not exist; by default a fresh one in `runs/`.
        overrides: settings over those of the curriculum, such as `{"budget.kl": 2.0, "stages.0.method": "sft"}`.
        resume: go on with the run in `output_dir` if there is one, which must be of this very curriculum; a finished
            one is returned as it is.
        verbose: print a line for each stage that begins and ends.

    Raises:
        PerdureError: what the command line would say, before anything is loaded where that is possible. Faults of
            curricula, data and models are `ValueError`s too, faults of run folders `RuntimeError`s.
        KeyboardInterrupt: Ctrl-C, or the kernel's interrupt. What was done is saved: `resume=True` goes on.
    """
    if resume and output_dir is None:
        raise ConfigError("resume=True: say which run by output_dir")
    read, name = read_source(curriculum, overrides or {})
    path = fresh_path(RUNS, name) if output_dir is None else Path(output_dir)
    view = Lines(path) if verbose else NullView()
    folder = RunFolder(path)
    if resume and folder.description.is_file():
        _go_on(folder, read, view)
    else:
        check_free(path)
        _start(folder, read, view)
    return Run(path)


def _start(folder: RunFolder, curriculum: Curriculum, view: View) -> None:
    from perdure.agent.loop import run_curriculum
    from perdure.agent.setup import start

    with disk_explained(folder.path):
        life = start(curriculum, folder.path, view)
        with locked(folder):
            run_curriculum(life)


def _go_on(folder: RunFolder, curriculum: Curriculum, view: View) -> None:
    from perdure.agent.differences import differences
    from perdure.agent.loop import run_curriculum
    from perdure.agent.setup import resume

    open_folder(folder.path)
    state, events = read_record(folder) if folder.journal.exists() else (RunState(), [])
    begun, _ = read_begun(folder, events)
    found = differences("curriculum", dict(begun.curriculum), curriculum.model_dump(mode="json"))
    if found:
        listed = "\n  ".join(found)
        raise RunError(
            f"{folder.path} is a run of another curriculum:\n  {listed}\nGive that one, or another output_dir"
        )
    if state.status == "refused":
        raise GateError(state.refusal)
    if state.status != "finished":
        with locked(folder), disk_explained(folder.path):
            run_curriculum(resume(folder.path, view, tracking=curriculum.tracking))
