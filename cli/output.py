"""Files that a command writes for its user."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perdure.budget.errors import RunError


@contextmanager
def writing(path: Path, option: str = "--output") -> Iterator[None]:
    """Turn what the system refuses about an output into one message.

    Raises:
        RunError: the place and the reason, such as no permission.
    """
    try:
        yield
    except OSError as error:
        place, reason = error.filename or path, error.strerror or error
        raise RunError(f"{place} cannot be written: {reason}; choose another place with {option}") from error
