"""Finding a run on the disk and reading it, for the commands that only look."""

import fcntl
from difflib import get_close_matches
from json import JSONDecodeError
from pathlib import Path

from perdure.agent.journal import Event, read_journal
from perdure.agent.record import Record, read_record
from perdure.budget.errors import RunError

RUNS = Path("runs")


def find_run(run: Path) -> Path:
    """The folder of a run: a path, or the name of one under `runs/`.

    Raises:
        RunError: there is no such folder, or it holds no journal.
    """
    for folder in (run, RUNS / run):
        if (folder / "journal.jsonl").is_file():
            return folder
    if not run.exists():
        raise RunError(f"{run} does not exist{_suggestion(run)}; start a run with: perdure run FILE")
    if run.is_dir() and (run / "run.json").is_file():
        raise RunError(f"{run} holds a run that has written nothing yet; go on with: perdure resume {run}")
    raise RunError(f"{run} is not a run folder: it has no journal.jsonl{_suggestion(run)}")


def _suggestion(run: Path) -> str:
    around = [path for place in {run.parent, RUNS, run} if place.is_dir() for path in place.iterdir()]
    names = {path.name: path for path in around if (path / "journal.jsonl").is_file()}
    close = get_close_matches(run.name, names, n=1)
    if close:
        return f"; did you mean {names[close[0]]}?"
    return f" (there is {', '.join(sorted(str(path) for path in names.values())[:5])})" if names else ""


def read_events(folder: Path) -> list[Event]:
    """Every event of a run so far.

    Raises:
        RunError: the journal cannot be read.
    """
    try:
        return list(read_journal(folder / "journal.jsonl"))
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{folder / 'journal.jsonl'} is damaged, a line is not JSON: {error}") from error
    except OSError as error:
        raise RunError(f"cannot read {folder / 'journal.jsonl'}: {error.strerror}") from error


def read_run(folder: Path) -> tuple[Record, list[Event]]:
    """The record of a run, and the events it was read from.

    Raises:
        RunError: the journal cannot be read, or is not one that this version writes.
    """
    events = read_events(folder)
    try:
        return read_record(events), events
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / 'journal.jsonl'} is not a journal this version can read: {error!r}") from error


def in_use(folder: Path) -> bool:
    """True while a process holds the run (`perdure.agent.folder.locked`)."""
    try:
        with (folder / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
