"""`perdure watch [RUN]`: the view of another process's run, from its journal and its progress file."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from perdure.agent.run.event import Event
from perdure.agent.run.find import RUNS, find_run, read_run
from perdure.agent.run.journal import read_line
from perdure.agent.run.lock import is_held
from perdure.budget.errors import RunError
from perdure.cli.commands.run import tell_findings
from perdure.cli.console import say
from perdure.cli.views.format import format_duration
from perdure.cli.views.live import LiveView

POLL = 0.25
DEAD_AFTER = 3.0
SILENT_AFTER = 60.0
ENDED = ("finished", "interrupted", "refused")


def watch_command(run: Path | None, plain: bool, console: Console | None = None) -> None:
    """Follow a run until it ends or no process runs it, by default the newest. The run never notices.

    Raises:
        RunError: there is no such run, or its journal cannot be read.
        SystemExit: 130 after Ctrl-C; the run goes on.
    """
    try:
        folder = wait_for_run(RUNS) if run is None else find_run(run)
        read_run(folder)
        _follow(folder, LiveView(folder.name, plain, console, run_folder=folder))
    except KeyboardInterrupt:
        sys.exit(130)


def wait_for_run(place: Path) -> Path:
    """The newest run of a folder that a process runs; waits for one, and says so."""
    told = False
    while True:
        runs = newest_runs(place)
        running = next((run for run in runs if is_held(run)), None)
        if running is not None:
            return running
        if not told:
            newest = f"; the newest that ended: perdure show {runs[0]}" if runs else ""
            say(f"no run is going on in {place}; waiting for one (Ctrl-C ends it){newest}", error=True)
            told = True
        time.sleep(POLL)


def newest_runs(place: Path) -> list[Path]:
    """The runs of a folder that have a journal, the one that was written to last first."""
    journals = [path for path in place.glob("*/journal.jsonl") if path.is_file()]
    return [path.parent for path in sorted(journals, key=lambda path: path.stat().st_mtime, reverse=True)]


def _follow(folder: Path, view: LiveView) -> None:
    """Update the view until the run has ended or its process is gone, then say how to go on."""
    tail = Tail(folder / "journal.jsonl")
    gone, silence = False, Silence()
    with view:
        _catch_up(view, tail.read())
        while not gone and view.state.record.status not in ENDED:
            gone = _show_progress(folder, view, silence)
            time.sleep(0 if gone else POLL)
            for event in tail.read():
                view.event(event)
    if view.state.record.status == "finished":
        tell_findings(view.state.record, folder, view.console)
    elif view.state.record.status == "refused":
        view.say(f"refused, nothing was trained; see why with: perdure show {folder}")
    else:
        how = "interrupted" if view.state.record.status == "interrupted" else "not running (killed?)"
        view.say(f"{how}; go on with: perdure resume {folder}")


def _catch_up(view: LiveView, events: list[Event]) -> None:
    """Put past events into the view at once; as log lines, one by one."""
    if view.log is None:
        view.past(events)
        return
    for event in events:
        view.event(event)


@dataclass
class Silence:
    """The seconds since something new was seen, by a clock that nobody sets."""

    newest: float | None = None
    since: float = 0.0

    def after(self, newest: float) -> float:
        """The seconds of silence, when the newest thing seen is of that time of day."""
        if newest != self.newest:
            old = max(time.time() - newest, 0.0) if self.newest is None else 0.0
            self.newest, self.since = newest, time.monotonic() - old
        return time.monotonic() - self.since


def _show_progress(folder: Path, view: LiveView, silence: Silence) -> bool:
    """Show the current progress. True once the run is silent and no process holds it."""
    progress = read_progress(folder)
    if progress and progress.get("time", 0) >= (view.state.last or 0) - SILENT_AFTER:
        view.progress(progress)
    silent = silence.after(max(progress.get("time", 0), view.state.last or 0))
    gone = silent > DEAD_AFTER and not is_held(folder)
    view.note(f"no news for {format_duration(silent)}" if silent > SILENT_AFTER and not gone else "", gone=gone)
    return gone


def read_progress(folder: Path) -> Mapping[str, Any]:
    """The current progress; empty where there is none."""
    try:
        progress = json.loads((folder / "progress.json").read_text())
    except (OSError, ValueError):
        return {}
    return progress if isinstance(progress, dict) and isinstance(progress.get("time"), int | float) else {}


@dataclass
class Tail:
    """Reads a journal on from the end of the last read; half a line waits for the next."""

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
