"""Processes of which any may die: what is lost is the item in hand, and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest

from perdure.agent.sweep.processes import Failure, run_in_processes
from tests.agent.sweep.doubles import halve, sleep_and_tell


def outcomes(numbers: list[int], log: Path, count: int = 2) -> dict[int, object]:
    found = dict(run_in_processes(halve, deque(numbers), count, log))
    return {number: one.reason if isinstance(one, Failure) else one for number, one in found.items()}


def test_every_item_comes_back_with_its_result_or_its_reason(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert outcomes([2, 1, 4, 3, 5, 6, 7, 11, 8], log) == {
        **{2: 1, 4: 2, 6: 3, 8: 4},
        1: "one is odd",
        3: "ValueError: three",
        5: "its process was ended by SIGKILL; is there too little memory?",
        7: "its process was interrupted (SystemExit)",
        11: "its process ended by itself, with exit code 4",
    }
    assert "halving 4\n" in log.read_text(), "what processes print is kept out of the terminal"


def test_a_traceback_is_kept_for_what_is_not_the_users_fault(tmp_path: Path) -> None:
    found = dict(run_in_processes(halve, deque([1, 3]), 1, tmp_path / "log"))
    one, three = found[1], found[3]
    assert isinstance(one, Failure) and isinstance(three, Failure)
    assert one.details == "" and 'raise ValueError("three")' in three.details


def test_items_may_be_added_between_two_results(tmp_path: Path) -> None:
    queue, found = deque([8]), []
    for number, half in run_in_processes(halve, queue, 1, tmp_path / "log"):
        found.append(number)
        if isinstance(half, int) and half % 2 == 0:
            queue.append(half)
    assert found == [8, 4, 2]


def test_a_full_disk_ends_everything(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space") as raised:
        outcomes([2, 9, 4], tmp_path / "log", count=1)
    assert raised.value.errno == 28


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_processes_end_when_the_iterator_is_closed(tmp_path: Path) -> None:
    found = run_in_processes(sleep_and_tell, deque([str(tmp_path / "pid")]), 1, tmp_path / "log")
    deadline = time.monotonic() + 30

    def interrupt() -> None:
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        next(found)
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_the_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from collections import deque; from pathlib import Path;"
        "from perdure.agent.sweep.processes import run_in_processes;"
        "from tests.agent.sweep.doubles import sleep_and_tell;"
        "list(run_in_processes(sleep_and_tell, deque([sys.argv[1]]), 1, Path(sys.argv[2])))"
    )
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
    pid = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", code, str(pid), str(tmp_path / "log")], env=environment)
    while not (pid.exists() and pid.read_text()):
        assert parent.poll() is None
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(int(pid.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(int(pid.read_text()))
