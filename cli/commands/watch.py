"""`perdure watch RUN`: the view of a run that another process lives, from its journal and its progress file."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from perdure.agent.run.events import Event
from perdure.agent.run.journal import read_line
from perdure.budget.errors import RunError
from perdure.cli.find_run import find_run, in_use, read_run
from perdure.cli.views.format import duration
from perdure.cli.views.live import LiveView

POLL = 0.25
DEAD_AFTER = 3.0
SILENT_AFTER = 60.0
ENDED = ("finished", "interrupted", "refused")


def watch(run: Path, plain: bool, console: Console | None = None) -> None:
    """Follow a run until it ends or nobody runs it any more. Only reads: the run never notices.

    Raises:
        RunError: there is no such run, or its journal cannot be read.
        SystemExit: 130 after Ctrl-C, which leaves the run as it is.
    """
    folder = find_run(run)
    read_run(folder)
    try:
        _follow(folder, LiveView(folder.name, plain, console, run_folder=folder))
    except KeyboardInterrupt:
        sys.exit(130)


def _follow(folder: Path, view: LiveView) -> None:
    """Feed the view until the run has ended or is gone, then say how to go on with it."""
    tail = Tail(folder / "journal.jsonl")
    gone = False
    with view:
        _catch_up(view, tail.read())
        while not gone and view.state.record.status not in ENDED:
            gone = _look(folder, view)
            time.sleep(0 if gone else POLL)
            for event in tail.read():
                view.event(event)
    if view.state.record.status == "refused":
        view.say(f"refused, nothing was trained; see why with: perdure show {folder}")
    elif view.state.record.status != "finished":
        how = "interrupted" if view.state.record.status == "interrupted" else "not running (killed?)"
        view.say(f"{how}; go on with: perdure resume {folder}")


def _catch_up(view: LiveView, events: list[Event]) -> None:
    """What is already past goes into the view at once; log lines still tell it all."""
    if view.log is None:
        view.past(events)
        return
    for event in events:
        view.event(event)


def _look(folder: Path, view: LiveView) -> bool:
    """Show the progress of the moment. True once the run is silent and no process holds it."""
    progress = read_progress(folder)
    if progress and progress.get("time", 0) >= (view.state.last or 0) - SILENT_AFTER:
        view.progress(progress)
    silent = time.time() - max(progress.get("time", 0), view.state.last or 0)
    gone = silent > DEAD_AFTER and not in_use(folder)
    view.note(f"no news for {duration(silent)}" if silent > SILENT_AFTER and not gone else "", gone=gone)
    return gone


def read_progress(folder: Path) -> Mapping[str, Any]:
    """The progress of the moment; empty where there is none."""
    try:
        progress = json.loads((folder / "progress.json").read_text())
    except (OSError, ValueError):
        return {}
    return progress if isinstance(progress, dict) and isinstance(progress.get("time"), int | float) else {}


@dataclass
class Tail:
    """Reads on in a journal from where the last read ended; half a line is left for the next."""

    path: Path
    offset: int = 0

    def read(self) -> list[Event]:
        """The events written since the last call.

        Raises:
            RunError: the journal is gone, or a line of it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror}") from error
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [read_line(line, self.path) for line in whole.splitlines()]
