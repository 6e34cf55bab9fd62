"""The contract of a sandbox: code and tests go in, a verdict comes out, and nothing else can."""

from dataclasses import dataclass
from typing import Protocol

from perdure.budget.errors import ConfigError

TOO_SLOW, OUT_OF_MEMORY, CRASHED = "too slow", "out of memory", "crashed"
"""Reasons for which code gets no verdict of its tests. It counts as not passed."""

PATIENCE = 4
"""Seconds of the clock for one of a processor, after which code that does not compute is ended, too."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one run: `passed` if the tests ran to their end; `why` if they neither passed nor failed."""

    passed: bool
    why: str = ""


class Sandbox(Protocol):
    """Runs code apart from the run, its files and the network."""

    @property
    def workers(self) -> int:
        """How many `run` may be called at once."""
        ...

    def run(self, code: str, tests: str, timeout: float, slot: int = 0) -> Verdict:
        """Run `code`, then `tests` in the same module.

        `timeout` is in seconds of a processor for each process; by the clock all of them end after `PATIENCE` times
        that. `slot` is below `workers`, and that of no other call at the time.

        Raises:
            ConfigError: the sandbox cannot be started.
        """
        ...

    def stop(self) -> None:
        """Kill what is running."""
        ...


def check(sandbox: Sandbox, kind: str) -> None:
    """Run a program that passes.

    Raises:
        ConfigError: it cannot be run, or does not pass.
    """
    remedy = "mend that, take another kind, or leave out the reward `code_tests`"
    try:
        verdict = sandbox.run("answer = 6 * 7", "assert answer == 42", 10)
    except ConfigError as error:
        raise ConfigError(f"`sandbox.type: {kind}` does not work on this machine: {error}; {remedy}") from None
    if not verdict.passed:
        raise ConfigError(
            f"`sandbox.type: {kind}` does not work on this machine: 6 * 7 == 42 did not pass "
            f"({verdict.why or 'wrong'}); raise `sandbox.memory` or `sandbox.disk`"
        )
