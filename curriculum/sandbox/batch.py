"""Runs many programs in a sandbox, a bounded number at once; each verdict stands in its program's place."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event

from perdure.budget.errors import ConfigError
from perdure.curriculum.sandbox.contract import Sandbox, Verdict


@dataclass(frozen=True)
class Program:
    """Code and the tests that it is to pass."""

    code: str
    tests: str


def run_all(sandbox: Sandbox, programs: Sequence[Program], timeout: float) -> list[Verdict]:
    """Run every program, `sandbox.workers` at once, `timeout` as in `Sandbox.run`.

    Raises:
        ConfigError: the sandbox cannot be started, twice.
    """
    stopped = Event()
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(sandbox.workers):
        slots.put(slot)

    def run(program: Program) -> Verdict:
        slot = slots.get()
        try:
            return sandbox.run(program.code, program.tests, timeout, slot)
        except ConfigError:
            if stopped.is_set():
                raise
            return sandbox.run(program.code, program.tests, timeout, slot)
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(sandbox.workers, "sandbox") as threads:
        running = [threads.submit(run, one) for one in programs]
        try:
            return [one.result() for one in running]
        except BaseException:
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            sandbox.stop()
            raise
