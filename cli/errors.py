"""How a command ends: exit codes, and what is said on stderr."""

import errno
import sys
import traceback
from collections.abc import Callable

from perdure.budget import ranks
from perdure.budget.errors import GateError, PerdureError
from perdure.budget.files import NO_SPACE, error_number
from perdure.curriculum.messages import printable

REFUSED = (*NO_SPACE, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE)
"""Errors of the system that no program can mend: a disk, a permission or a path."""

DONE, USER, USAGE, OURS, GATE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def guarded(command: Callable[[], object]) -> int:
    """Run a command and give its exit code: 1 for the user's fault, 4 for a gate, 3 for ours, 130 after Ctrl-C.

    A command that ends by `SystemExit` (typer's way: 0, 2 for usage, or its own code) keeps its code.
    """
    try:
        command()
    except PerdureError as error:
        _say(str(error), error)
        return GATE if isinstance(error, GateError) else USER
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else USER
    except Exception as error:
        if error_number(error) in REFUSED:
            _say(f"the system refuses: {error}", error)
            return USER
        fault = "this is a fault in perdure, not in your input: please report it with the lines above"
        _say(f"{traceback.format_exc()}\n{fault}", error)
        return OURS
    return DONE


def _say(text: str, error: Exception) -> None:
    """Tell the user why it ends; of several processes of a run one does."""
    others = None if ranks.is_main() else sys.__stderr__
    ranks.speak(text, error, lambda words: print(printable(words), file=others or sys.stderr, flush=True))
