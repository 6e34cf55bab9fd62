"""The program inside a sandbox: sets limits, runs code and then its tests, and writes one word. Standard library only.

It is run by its text and imports nothing of perdure. Its input is JSON; its output `TOKEN started`, then one of `TOKEN
passed`, `TOKEN wrong` and `TOKEN memory`. The code's own output goes nowhere. Code that ends this process early has not
passed. Code and tests share an interpreter, so that code which looks for the token can find it.
"""

import json
import os
import random
import resource
import signal
import sys
from types import ModuleType
from typing import Any

LIMITS = {
    "cpu": resource.RLIMIT_CPU,
    "memory": resource.RLIMIT_AS,
    "processes": resource.RLIMIT_NPROC,
    "disk": resource.RLIMIT_FSIZE,
}
FILES = 64


def limit(limits: dict[str, Any]) -> None:
    """Give up what is left of root, then lower the limits, for good."""
    if limits.get("user") is not None:
        os.setgroups([])
        os.setresgid(*[limits["user"]] * 3)
        os.setresuid(*[limits["user"]] * 3)
    for name, kind in LIMITS.items():
        if limits[name] is None:
            continue
        # SIGXCPU at the first limit tells apart who computed too long; SIGKILL a second later ends who ignores it.
        resource.setrlimit(kind, (limits[name], limits[name] + (name == "cpu")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def refuse_calls(program: bytes) -> None:
    """Install a filter of system calls beside those that there are, for good."""
    if program:
        import ctypes

        class Filter(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]

        libc = ctypes.CDLL(None, use_errno=True)
        rows = Filter(len(program) // 8, program)
        zero, one, mode = map(ctypes.c_ulong, (0, 1, 2))
        failed = libc.prctl(38, one, zero, zero, zero)  # PR_SET_NO_NEW_PRIVS
        if failed or libc.prctl(22, mode, ctypes.byref(rows), zero, zero):  # PR_SET_SECCOMP
            raise OSError(ctypes.get_errno(), "the filter of system calls cannot be installed")


def run(code: str, tests: str) -> str:
    """Run both in one module, and say how it went. They are compiled apart, so that code cannot quote its tests."""
    module = ModuleType("answer")
    sys.modules["answer"] = module
    try:
        for name, text in (("code", code), ("tests", tests)):
            exec(compile(text, f"<{name}>", "exec"), vars(module))
    except MemoryError:
        return "memory"
    except BaseException:
        return "wrong"
    return "passed"


def _wait(child: int, seconds: float) -> None:
    """As the parent: leave as the child does, or with SIGXCPU's code when the time is up."""
    if child:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signal.SIGXCPU))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Read one job, and leave without what the code may have registered for the end."""
    job = json.load(sys.stdin.buffer)
    report, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    try:
        limit(job["limits"])
        refuse_calls(bytes.fromhex(job.get("filter", "")))
    except OSError as error:
        sys.exit(str(error))
    for standard in range(3):
        os.dup2(null, standard)
    random.seed(0)
    token = job["token"]
    if os.getpid() == 1:  # of a container, in which nobody else ends what hangs
        _wait(os.fork(), job["limits"]["clock"])
    own = os.getpid()
    os.write(report, f"{token} started\n".encode())
    word = run(job["code"], job["tests"])
    if os.getpid() == own:  # and no fork of the code's
        os.write(report, f"{token} {word}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
