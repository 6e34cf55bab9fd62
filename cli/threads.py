"""How many threads numpy takes in a verb that only reads."""

import os


def one_numpy_thread() -> None:
    """Before numpy is imported: tables are small, and its threads would wait for one another for longer than they work.

    A setting of the user's own holds.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
