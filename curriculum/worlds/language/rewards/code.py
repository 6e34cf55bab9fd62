"""The reward `code_tests`: code in an answer passes the tests of its item, in a sandbox (`perdure.curriculum.sandbox`).

The code is the answer's last fenced block of Python or of no language (as for open-r1's `code_reward`, here also an
unfinished one), else the whole answer; blocks of other languages, as of what is printed, are passed over. An answer
without a fence to a prompt of plain text continues that text, and ends where HumanEval's do (arXiv 2107.03374): before
the next line that begins a class, a function, a comment, an `if` or a `print`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from perdure.curriculum.sandbox.batch import Program, run_all
from perdure.curriculum.sandbox.contract import Sandbox
from perdure.curriculum.task import Item

SECONDS = 10.0
LONGEST = 1_000_000
"""Characters of an answer that is run."""
_BLOCK = re.compile(
    r"(?:^[ \t]*```[ \t]*(?P<language>[^\s`]*)[^\n`]*|```[ \t]*(?:python3?|py)?[ \t]*)\r?\n"
    r"(?P<code>.*?)(?:(?<=\n)[ \t]*```|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_PYTHON = ("", "python", "python3", "py")
_NEXT = re.compile(r"\n(?:class|def|#|if|print)")
_CHECK = re.compile(r"^def check\(", re.MULTILINE)


def code_of(answer: str, *, continues: bool) -> str:
    """The code in an answer; `continues` says that it goes on with a prompt of plain text."""
    blocks = _blocks(answer)
    if blocks:
        return blocks[-1]
    return _NEXT.split(answer, maxsplit=1)[0] if continues else answer


def _blocks(answer: str) -> list[str]:
    """The code of the fenced blocks that may be Python."""
    found = [one for one in _BLOCK.finditer(answer) if one["language"] is None or one["language"].lower() in _PYTHON]
    return [one["code"].removesuffix("\n") if one[0].endswith("```") else one["code"] for one in found]


def item_tests(columns: Mapping[str, Any]) -> str:
    """The tests of an item: the text of its `tests`, or its lines if that is a list; empty if it has none.

    With `entry_point`, tests that define `check` call it with that function, as those of HumanEval are to be.
    """
    tests, entry = columns.get("tests"), columns.get("entry_point")
    text = "\n".join(map(str, tests)) if isinstance(tests, (list, tuple)) else str(tests or "")
    if entry and _CHECK.search(text):
        text += f"\n\ncheck({entry})\n"
    return text


def program_of(item: Item, answer: str) -> Program:
    """The program to run: `starter` of the item, the answer's code, and the tests."""
    starter = str(item.columns.get("starter") or "")
    continues = isinstance(item.prompt, str) and not _blocks(answer)
    return Program(
        starter + ("" if continues else "\n") + code_of(answer, continues=continues), item_tests(item.columns)
    )


class CodeTests:
    """1 for an answer whose code passes its tests, 0 for others; `unscored` counts those that were ended before."""

    scorer_name: ClassVar[str] = "perdure.curriculum.rewards.code.CodeTests"
    name: ClassVar[str] = "code_tests"

    def __init__(self, sandbox: Sandbox, timeout: float | None = None) -> None:
        self.unscored: Counter[str] = Counter()
        self._sandbox, self._timeout = sandbox, SECONDS if timeout is None else timeout
        self.scorer_settings = f"timeout {self._timeout}"

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        """See `Reward`; `None` for an item without tests. Raises ConfigError: the sandbox cannot be started."""
        scores: list[float | None] = [0.0 if item_tests(item.columns) else None for item in items]
        programs = {}
        for number, (item, text) in enumerate(zip(items, completions, strict=True)):
            if scores[number] is not None and len(text) > LONGEST:
                self.unscored["too long"] += 1
            elif scores[number] is not None:
                programs[number] = program_of(item, text)
        verdicts = run_all(self._sandbox, list(programs.values()), self._timeout)
        for number, verdict in zip(programs, verdicts, strict=True):
            scores[number] = float(verdict.passed)
            if verdict.why:
                self.unscored[verdict.why] += 1
        return scores
