"""Runs and sweeps on the disk: found by path or by name, and read."""

from difflib import get_close_matches
from pathlib import Path

from perdure.agent.run.event import Event
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.run.state import RunState
from perdure.agent.sweep.folder import SweepFolder
from perdure.budget.errors import RunError

RUNS = Path("runs")
SWEEPS = Path("sweeps")


def locate(name: Path) -> RunFolder | SweepFolder | None:
    """The run or the sweep at a path, else that of this name in `runs/` or `sweeps/`, if there is one.

    Raises:
        RunError: a run and a sweep have that name.
    """
    here = _folder_at(name)
    if here is not None:
        return here
    found = [one for one in (_folder_at(place / name) for place in (RUNS, SWEEPS)) if one is not None]
    if len(found) > 1:
        raise RunError(f"{name} is the name of two: say {' or '.join(str(one.path) for one in found)}")
    return found[0] if found else None


def find_folder(name: Path) -> RunFolder | SweepFolder:
    """The run or the sweep that `locate` finds.

    Raises:
        RunError: as `locate`; or nothing has that name.
    """
    found = locate(name)
    if found is not None:
        return found
    if not name.exists():
        raise RunError(f"{name} does not exist{_suggestion(name)}; start a run with: perdure run FILE")
    raise RunError(f"{name} has no journal.jsonl and no sweep.json, so it is no run and no sweep{_suggestion(name)}")


def find_run(name: Path) -> Path:
    """The folder of a run that has a journal, found as by `find_folder`.

    Raises:
        RunError: as `find_folder`; or it is a sweep, or a run without a journal.
    """
    found = find_folder(name)
    if isinstance(found, SweepFolder):
        raise RunError(f"{found.path} is a sweep and no run; see it with: perdure show {found.path}")
    if not found.journal.is_file():
        raise RunError(
            f"{found.path} holds a run that has written nothing yet; go on with: perdure resume {found.path}"
        )
    return found.path


def _folder_at(path: Path) -> RunFolder | SweepFolder | None:
    run, sweep = RunFolder(path), SweepFolder(path)
    if run.journal.is_file() or run.description.is_file():
        return run
    return sweep if sweep.description.is_file() or sweep.results.is_file() else None


def _suggestion(name: Path) -> str:
    around = [path for place in {name.parent, RUNS, SWEEPS, name} if place.is_dir() for path in place.iterdir()]
    names = {path.name: path for path in around if _folder_at(path) is not None}
    close = get_close_matches(name.name, names, n=1)
    if close:
        return f"; did you mean {names[close[0]]}?"
    return f"; there is {', '.join(sorted(str(path) for path in names.values())[:5])}" if names else ""


def read_run(folder: Path) -> tuple[RunState, list[Event]]:
    """The state of a run, and its events.

    Raises:
        RunError: the journal cannot be read.
    """
    return read_record(RunFolder(folder))
