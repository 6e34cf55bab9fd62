import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from perdure.agent.run.events import Finished, Resumed
from perdure.agent.run.folder import RunFolder, locked
from perdure.agent.run.lock import is_held
from perdure.budget.errors import RunError
from perdure.cli.commands.watch import Tail, newest_runs, read_progress, wait_for_run, watch_command
from tests.cli.journals import progress, whole_run, write_run


def watched(run: Path, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, height=30, color_system=None)
    watch_command(run, plain=False, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_finished_run_is_shown_and_left(tmp_path: Path) -> None:
    text = watched(write_run(tmp_path / "demo", whole_run()), terminal=True)
    assert "3 of 3 stages · finished" in text
    assert "+51▲" in text
    assert "resume" not in text


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    events = whole_run()
    cut = next(i for i, event in enumerate(events) if event["event"] == "interrupted")
    run = write_run(tmp_path / "demo", events[: cut + 1])
    assert watched(run).endswith(f"interrupted; go on with: perdure resume {run}\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_killed_run_is_not_waited_for(tmp_path: Path, terminal: bool) -> None:
    run = write_run(tmp_path / "demo", whole_run()[:20])
    (run / "progress.json").write_text(json.dumps(progress()))
    text = watched(run, terminal=terminal)
    assert "not running (killed?); go on with: perdure resume" in text.replace("\n", " ")
    assert "is running" not in text


def test_a_living_run_is_followed_to_its_end(tmp_path: Path) -> None:
    """The events are years old, so that only the lock says that the run is alive."""
    events = whole_run()
    run = write_run(tmp_path / "demo", events)
    (run / "journal.jsonl").write_text(json.dumps(events[0]) + "\n")
    held = threading.Event()

    def live() -> None:
        with locked(RunFolder(run)):
            held.set()
            time.sleep(0.4)
            for event in events[1:]:
                with (run / "journal.jsonl").open("a") as file:
                    file.write(json.dumps(event) + "\n")

    runner = threading.Thread(target=live)
    runner.start()
    held.wait()
    assert is_held(run)
    lines = watched(run).splitlines()
    runner.join()
    assert not is_held(run)
    *lines, title, finding = lines
    assert len([line for line in lines if "training" not in line]) == len(events)
    assert lines[-1].endswith("finished in 2:51")
    assert (title, finding.startswith("  stage 3 chain: the update broke")) == ("to know", True)


def test_ctrl_c_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "demo", whole_run()[:20])
    before = (run / "journal.jsonl").read_bytes()
    code = f"from perdure.cli.commands.watch import Path, watch_command; watch_command(Path({str(run)!r}), True)"
    with (
        locked(RunFolder(run)),
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(20):
            process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        stuck = threading.Timer(60, process.kill)
        stuck.start()
        said = process.stdout.read() + process.stderr.read()
        stuck.cancel()
    assert (process.returncode, said) == (130, b"")
    assert (run / "journal.jsonl").read_bytes() == before


def test_no_run_to_watch(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        watch_command(tmp_path / "none", plain=True)


def test_tail_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    tail = Tail(journal)
    with pytest.raises(RunError, match="cannot read"):
        tail.read()
    journal.write_bytes(b'{"event": "resumed"}\n{"event": "fini')
    assert tail.read() == [Resumed()]
    assert tail.read() == []
    with journal.open("ab") as file:
        file.write(b'shed", "seconds": 1.0}\n')
    assert tail.read() == [Finished(seconds=1.0)]


@pytest.mark.parametrize("text", ["", "[]", '{"step": 1}', '{"time": "x"}', "{"])
def test_a_progress_file_that_is_none_is_left_out(tmp_path: Path, text: str) -> None:
    assert read_progress(tmp_path) == {}
    (tmp_path / "progress.json").write_text(text)
    assert read_progress(tmp_path) == {}


def test_without_a_name_the_newest_run_that_goes_on_is_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, running = (write_run(tmp_path / "runs" / name, whole_run()) for name in ("old", "running"))
    os.utime(running / "journal.jsonl", (1, 1))  # another run was written to last, but nobody runs it
    assert newest_runs(tmp_path / "runs") == [old, running]
    begins = threading.Event()

    def run() -> None:
        begins.wait()
        with locked(RunFolder(running)):
            time.sleep(1)

    runner = threading.Thread(target=run)
    runner.start()
    threading.Timer(0.1, begins.set).start()
    assert wait_for_run(tmp_path / "runs") == running
    runner.join()
    said = (
        f"no run is going on in {tmp_path}/runs; waiting for one (Ctrl-C ends it); the newest that ended: perdure show"
    )
    assert capsys.readouterr().err == f"{said} {old}\n"
    assert newest_runs(tmp_path / "nothing") == []
