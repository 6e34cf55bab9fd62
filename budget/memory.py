"""Keeps freed memory in the process: a model's step frees what the next one asks for again."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The parameters of glibc's `mallopt`, from its header malloc.h."""

MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to keep all that is freed, by `mallopt`; by default it gives large blocks back to the system, which
    has to clear every page of them again. False under another C library, where nothing happens.

    `MALLOC_MMAP_THRESHOLD_` and `MALLOC_TRIM_THRESHOLD_` in the environment do the same for any process.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return all([mallopt(M_MMAP_THRESHOLD, MOST), mallopt(M_TRIM_THRESHOLD, MOST)])
    return False
