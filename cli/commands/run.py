"""`perdure run` and `perdure resume`."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.run.folder import RunFolder, check_free, fresh_path, locked, open_folder
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import GateError
from perdure.cli.find_run import RUNS, find
from perdure.cli.views.live import LiveView

if TYPE_CHECKING:  # it brings numpy
    from perdure.agent.life import Life


def run(
    file: str,
    output_dir: Path | None,
    seed: int | None,
    overrides: Sequence[str],
    target: float | None,
    *,
    plain: bool,
    strict: bool,
) -> None:
    """Live the life that a curriculum describes, in a fresh run folder; `seed` and `target` overrule the file's.

    Raises:
        GateError: `strict`, and a stage cannot reach its target within the budget; nothing was trained.
        ConfigError: `strict`, and nothing can be priced.
    """
    from perdure.curriculum.file.reader import read_curriculum

    asked = [*overrides, *([] if seed is None else [f"seed={seed}"]), *targeted(target)]
    read = read_curriculum(file, asked)
    path = output_dir or fresh_path(RUNS, read.source.stem)
    check_free(path)
    quieten()

    def begin(view: LiveView) -> "Life":
        from perdure.agent.setup import start

        life = start(read.curriculum, path, view, strict=strict)
        lock.enter_context(locked(life.folder))
        return life

    with ExitStack() as lock:
        _live(path, begin, plain=plain)


def targeted(target: float | None) -> list[str]:
    """The override of `--target-accuracy`, of `run` and of `plan`."""
    return [] if target is None else [f"budget.target_accuracy={target}"]


def resume(name: Path, plain: bool) -> None:
    """Go on with a life, or with a sweep, that was stopped or killed.

    Raises:
        GateError: the life was refused by `--strict`; it would be again, since it goes on only as it was begun.
    """
    found = find(name)
    if isinstance(found, SweepFolder):
        from perdure.cli.commands.sweep import resume as resume_sweep

        resume_sweep(found, plain)
        return
    path = found.path
    folder = open_folder(path)
    record = read_state(read_journal(folder.journal) if folder.journal.exists() else ())
    if record.status == "finished":
        print(f"{path} is finished; see it with: perdure show {path}")
        return
    if record.status == "refused":
        raise GateError(record.refusal)
    quieten()

    def begin(view: LiveView) -> "Life":
        from perdure.agent.setup import resume as take_up

        return take_up(path, view)

    with locked(folder):
        _live(path, begin, plain=plain)


def _live(path: Path, begin: "Callable[[LiveView], Life]", *, plain: bool) -> None:
    from perdure.agent.loop import run_curriculum
    from perdure.agent.run.folder import full_disk_explained

    folder = RunFolder(path)
    try:
        with LiveView(path.name, plain=plain, run_folder=path) as view, full_disk_explained(folder):
            run_curriculum(begin(view))
    except KeyboardInterrupt:
        if folder.description.exists():
            print(f"stopped; go on with: perdure resume {path}", file=sys.stderr)
        raise
    print(f"run folder: {path}")


def quieten() -> None:
    """Libraries must not write into the live table; what they warn of, perdure checks itself."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
