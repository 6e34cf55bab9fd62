"""`perdure run FILE`: runs a curriculum in a fresh folder."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from perdure.agent.run.find import RUNS
from perdure.agent.run.folder import RunFolder, check_free, fresh_path, locked
from perdure.agent.run.record import final_policy, read_record
from perdure.agent.run.state import RunState
from perdure.budget import ranks
from perdure.budget.heap import uncollected
from perdure.budget.launchers import advice
from perdure.cli.console import print_lines, reader_may_leave, say, silence_libraries, symbols_and_width
from perdure.cli.views.live import LiveView

if TYPE_CHECKING:  # it brings numpy
    from perdure.agent.life import Life


def run_command(
    file: str,
    output_dir: Path | None,
    seed: int | None,
    overrides: Sequence[str],
    target: float | None,
    *,
    plain: bool,
    strict: bool,
) -> None:
    """Run a curriculum; `seed` and `target` override the file's.

    Raises:
        GateError: `strict`, and a stage cannot reach its target within the budget; nothing was trained.
        ConfigError: `strict`, and nothing can be priced.
    """
    join()
    from perdure.curriculum.file.reader import read_curriculum
    from perdure.eval.look_up import look_up

    seeds = [] if seed is None else [f"seed={seed}"]
    read = read_curriculum(file, [*overrides, *seeds, *target_override(target)])
    path = ranks.told(lambda: _free(output_dir, read.source.stem))
    silence_libraries()

    def begin(view: LiveView) -> "Life":
        view.progress({"phase": "looking up what the file names"})
        look_up(read)
        with uncollected():
            from perdure.agent.setup import start

        life = start(read.curriculum, path, view, strict=strict)
        lock.enter_context(locked(life.folder))
        return life

    with ExitStack() as lock:
        run_in_view(path, begin, plain=plain)


def _free(output_dir: Path | None, name: str) -> Path:
    path = output_dir or fresh_path(RUNS, name)
    check_free(path)
    return path


def join() -> None:
    """Meet the other processes of the run, before anything else. Raises as `ranks.begin`."""
    line = advice(os.environ)
    if line is not None:
        say(line)
    ranks.begin()


def target_override(target: float | None) -> list[str]:
    """`--target-accuracy` as an override, for `run` and `plan`."""
    return [] if target is None else [f"budget.target_accuracy={target}"]


def run_in_view(path: Path, begin: "Callable[[LiveView], Life]", *, plain: bool) -> None:
    """Run what `begin` sets up, in the live view, to its end or to Ctrl-C."""
    from perdure.agent.run.folder import disk_explained, loss_explained

    folder = RunFolder(path)
    try:
        with (
            LiveView(path.name, plain=plain, run_folder=path) as view,
            view.beating(),
            disk_explained(path),
            loss_explained(path),
        ):
            view.progress({"phase": "starting"})
            with uncollected():
                from perdure.agent.loop import run_curriculum

            run_curriculum(begin(view))
    except KeyboardInterrupt:
        began = folder.description.exists()
        how = f"go on with: perdure resume {path}" if began else "the run had not begun, and nothing was written"
        word = ranks.last_word()  # its launcher ends this process, too
        say(f"{word or 'stopped'}; {how}", error=True)
        raise
    record, _ = read_record(folder)
    tell_findings(record, path)
    say(f"run folder: {path}")
    policy = final_policy(folder, record)
    if policy is not None:
        say(f"policy: {policy}")


def tell_findings(record: RunState, path: Path, console: Console | None = None) -> None:
    """Print what a reader of the run must know."""
    from perdure.agent.run.diagnostics.diagnose import findings
    from perdure.cli.views.finding_lines import MOST, finding_lines

    console = console or Console(file=sys.stdout, highlight=False)
    with reader_may_leave():
        print_lines(finding_lines(record, findings(record, path), *symbols_and_width(console), most=MOST), console)
