"""One process at a time in a folder; the lock dies with the process that holds it, on whatever machine it is."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perdure.budget.errors import RunError

NAME = "lock"


@contextmanager
def held(folder: Path, look_on: str, *, name: str = NAME, what: str = "", shared: bool = False) -> Iterator[None]:
    """Hold a folder, or the part of it, `what`, whose lock is the file `name`.

    `look_on` is the command that others may use meanwhile. Several processes may hold it `shared`, and then none alone.

    Raises:
        RunError: another process has it, or it cannot be written to.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with ExitStack() as opened:
        try:
            # For reading and writing: NFS locks a file as POSIX does, which needs the one for shared locks.
            fcntl.flock(opened.enter_context((folder / name).open("a+")), kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{what or folder} is in use by another process; look on with: {look_on}") from error
        except OSError as error:
            raise RunError(f"{folder} cannot be written to by this user, or now: {error.strerror} ({name})") from error
        yield


def is_held(folder: Path, name: str = NAME) -> bool:
    """True while a process holds the folder, or the part of it whose lock is the file `name`, alone."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
