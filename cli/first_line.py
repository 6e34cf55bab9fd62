"""The first line of a verb that takes long, before anything is imported that takes time itself."""

import sys
from datetime import datetime

from perdure.curriculum.messages import printable


def first_line(verb: str, what: object, *, error: bool = False) -> None:
    """`10:03:21 run demo: starting`, at once, also through a pipe."""
    text = f"{datetime.now():%H:%M:%S} {verb} {what}: starting"
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=True)
