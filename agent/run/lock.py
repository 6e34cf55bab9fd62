"""One process at a time in a folder; the lock dies with the process that holds it."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perdure.budget.errors import RunError

NAME = "lock"


@contextmanager
def held(folder: Path, look_on: str) -> Iterator[None]:
    """Hold a folder; `look_on` is the command that others may use meanwhile.

    Raises:
        RunError: another process has it, or it cannot be written to.
    """
    with ExitStack() as opened:
        try:
            fcntl.flock(opened.enter_context((folder / NAME).open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder} is in use by another process; look on with: {look_on}") from error
        except OSError as error:
            raise RunError(f"{folder} cannot be written to by this user, or now: {error.strerror} ({NAME})") from error
        yield


def is_held(folder: Path) -> bool:
    """True while a process holds the folder."""
    try:
        with (folder / NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
