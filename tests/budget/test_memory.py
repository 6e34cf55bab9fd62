"""Freed memory stays in the process: the next block of the same size costs no page faults."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import sys
from perdure.budget.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        bytearray(48_000_000)[::4096] = b"x" * len(range(0, 48_000_000, 4096))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_block_that_is_freed_is_used_again() -> None:
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True).stdout)
        for how in ("plain", "keep")
    )
    assert kept < plain / 4
