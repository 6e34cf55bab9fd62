"""Signals that end a process say so, and those that `nohup` has ignored stay so."""

import subprocess
import sys

import pytest

CODE = """
import os, signal, sys
from perdure.agent.run.interrupt import Interrupt, end_in_words
from perdure.cli.errors import guarded

def command():
    with Interrupt().listening() if {listening} else Interrupt().may_wait():
        os.kill(os.getpid(), signal.{name})

# Either way, so that the test holds under `nohup` too.
signal.signal(signal.{name}, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
end_in_words()
sys.exit(guarded(command))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("listening", "ignored", "code", "said"),
    [(False, False, 130, True), (True, False, 130, False), (False, True, 0, False), (True, True, 0, False)],
)
def test_a_signal_that_ends_a_process(name: str, listening: bool, ignored: bool, code: int, said: bool) -> None:
    command = [sys.executable, "-c", CODE.format(name=name, listening=listening, ignored=ignored)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, f"ended by {name}\n" if said else "")
