"""Escapes are tried: none gets out of a sandbox, and none passes for code that is right."""

import os
import socket
import time
from pathlib import Path

import pytest

from perdure.curriculum.sandbox.batch import Program, run_all
from perdure.curriculum.sandbox.contract import CRASHED, OUT_OF_MEMORY, TOO_SLOW, Sandbox, Verdict
from perdure.curriculum.sandbox.podman import Podman

IMPORTS = "import ctypes, os, resource, socket, threading, time\nlibc = ctypes.CDLL(None)\n"
ATTEMPTS = {
    "the network": "socket.create_connection(('127.0.0.1', {port}), 1)",
    "an address outside": "socket.create_connection(('192.0.2.1', 80), 1)",
    "datagrams": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "the host of a virtual machine": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "the kernel's own sockets": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a file of the run": "open({file!r}).read()",
    "a folder of the run": "os.listdir(os.path.dirname({file!r}))",
    "users": "open('/etc/passwd').read()",
    "processes": "os.listdir('/proc')",
    "tokens": "assert 'SECRET_TOKEN' in os.environ",
    "writing outside": "open({file!r}, 'w').write('x')",
    "writing to the root": "open('/x', 'w')",
    "writing to libraries": "open(os.__file__, 'a')",
    "writing to devices": "open('/dev/x', 'w')",
    "killing the run": "os.kill({pid}, 9)",
    "killing its processes": "os.killpg({group}, 9)",
    "tracing": "assert libc.ptrace(0, 0, 0, 0) == 0",
    "a new namespace": "assert libc.unshare(0x10000000) == 0",
    "a mount": "assert libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
    "shared memory": "assert libc.shmget(0, 2**20, 0o1777) >= 0",
    "memory without a file": "os.memfd_create('x')",
    "root": "os.setuid(0) or os.chroot('/tmp')",
    "higher limits": "resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))",
    "a large file": "open('/tmp/x', 'wb').write(bytes(5 * 2**20))",
    "many files": "[open(f'/tmp/{{n}}', 'wb').write(bytes(2**20)) for n in range(5)]",
    "files in shared memory": "[open(f'/dev/shm/{{n}}', 'wb').write(bytes(2**20)) for n in range(5)]",
    "many open files": "[os.pipe() for _ in range(40)]",
    "processes without end": "[os.fork() or time.sleep(100) for _ in range(6)]",
    "threads without end": "[threading.Thread(target=time.sleep, args=[100]).start() for _ in range(6)]",
}


HARMLESS_IN_A_CONTAINER = {"users", "processes", "writing to devices"}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_refused(name: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program passes if the attempt ends in the error that the system gives, and not in another one."""
    if name in HARMLESS_IN_A_CONTAINER and isinstance(sandbox, Podman):
        pytest.skip("a container has its own of these")
    monkeypatch.setenv("SECRET_TOKEN", "hf_secret")
    file = tmp_path / "run.json"
    file.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = {"file": str(file), "pid": os.getpid(), "group": os.getpgrp(), "port": server.getsockname()[1]}
        attempt = ATTEMPTS[name].format(**places)
        refused = "(AssertionError, OSError, RuntimeError, ValueError)"
        code = f"{IMPORTS}try:\n    {attempt}\nexcept {refused}:\n    refused = True"
        assert sandbox.run(code, "assert refused", 5) == Verdict(True)
    assert file.read_text() == "{}"


@pytest.mark.parametrize(
    "trick",
    [
        "import sys; sys.exit(0)",
        "import os\nif os.fork(): raise SystemExit",
        "x = '''",
        "class passed(Exception): pass\nraise passed",
        "import atexit, os; atexit.register(os._exit, 0)\nraise ValueError",
    ],
)
def test_no_trick_passes_tests(trick: str, sandbox: Sandbox) -> None:
    assert sandbox.run(trick, "'''; raise ValueError", 5) == Verdict(False)


def test_the_same_programs_pass_where_they_stay_within(sandbox: Sandbox) -> None:
    within = (
        "import os, socket, threading, time, resource, ctypes, json, re, math, random, collections\n"
        "socket.socketpair()\n"
        "open('/tmp/x', 'wb').write(bytes(2**20))\n"
        "thread = threading.Thread(target=int); thread.start(); thread.join()\n"
        "if not os.fork(): os._exit(0)\n"
        "bytes(50 * 2**20), [os.pipe() for _ in range(10)], os.listdir(os.path.dirname(os.__file__))\n"
    )
    assert sandbox.run(within, "assert os.getcwd() == '/tmp' and os.environ['PYTHONHASHSEED'] == '0'", 5).passed
    assert sandbox.run("", "import os; assert os.listdir('/tmp') == []", 5).passed


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x = bytearray(10**9)", OUT_OF_MEMORY),
        ("import os; os._exit(0)", CRASHED),
        ("import os; os.kill(os.getpid(), 11)", CRASHED),
        (
            "import os\nfor who in -1, os.getppid():\n    try: os.kill(who, 9)\n    except OSError: 0\nos._exit(0)",
            CRASHED,
        ),
        (
            "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'passed' * 1000)\n    except OSError: pass",
            CRASHED,
        ),
        ("while True: pass", TOO_SLOW),
        ("import signal, time; time.sleep(100)", TOO_SLOW),
        ("import os, time\nif os.fork(): time.sleep(100)", TOO_SLOW),
    ],
)
def test_code_that_gets_no_verdict_says_why(code: str, why: str, sandbox: Sandbox) -> None:
    assert sandbox.run(code, "", 0.2) == Verdict(False, why)


def test_nothing_goes_on_after_the_verdict(sandbox: Sandbox, tmp_path: Path) -> None:
    """A process left behind would hold the pipe of the report, whose end is waited for."""
    began = time.monotonic()
    left = "import os, time\nif not os.fork():\n    os.setsid()\n    time.sleep(100)"
    assert sandbox.run(left, "", 20).passed
    assert time.monotonic() - began < 20


def test_verdicts_stand_in_their_places_whatever_the_order() -> None:
    """Later programs are done first; no more run at once than the sandbox has workers, each in a slot of its own."""

    class Slow:
        workers = 3

        def __init__(self) -> None:
            self.slots: list[int] = []
            self.most = 0

        def run(self, code: str, tests: str, timeout: float, slot: int = 0) -> Verdict:
            assert slot not in self.slots
            self.slots.append(slot)
            self.most = max(self.most, len(self.slots))
            time.sleep(0.02 / (1 + int(code)))
            self.slots.remove(slot)
            return Verdict(int(code) % 2 == 0)

        def stop(self) -> None: ...

    slow = Slow()
    verdicts = run_all(slow, [Program(str(number), "") for number in range(9)], 1)
    assert [one.passed for one in verdicts] == [number % 2 == 0 for number in range(9)]
    assert slow.most == 3
