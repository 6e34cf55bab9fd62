"""Limits of time and memory: they end what never would, and are gone afterwards."""

import resource
import signal
import time

import pytest

from perdure.curriculum.limits import memory_limit, time_limit


def test_what_takes_too_long_is_ended_whatever_it_catches() -> None:
    before = signal.getsignal(signal.SIGPROF)
    began = time.process_time()
    with pytest.raises(TimeoutError), time_limit(0.05):
        while True:
            try:
                sum(range(1000))
            except BaseException:
                if time.process_time() - began < 0.1:  # the first time only, as `except:` in a loop of tries
                    continue
                raise
    assert time.process_time() - began < 1
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0 and signal.getsignal(signal.SIGPROF) == before
    with time_limit(5):
        pass


def test_what_takes_too_much_memory_is_ended() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), memory_limit(2**20):
        bytearray(2**28)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
