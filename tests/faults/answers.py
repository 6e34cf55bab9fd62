"""Hostile answers, given to every reward by name and to every verifier of reasoning-gym.

A case is one answer to one reward. It holds if a score comes back in time that is a number from 0 to 1 or `None`, if
nothing that the answer says was carried out (an audit hook in the process of rewards looks on), and if the right answer
is scored afterwards as it was before.
"""

import math
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType, FrameType
from typing import Any

from perdure.curriculum.task import Item, Reward
from perdure.curriculum.worlds.language.rewards.guarded import RewardRecipe, verifier
from perdure.curriculum.worlds.language.rewards.named import made
from perdure.curriculum.worlds.language.sources.reasoning_gym import load, verifier_of
from perdure.curriculum.worlds.language.sources.verifier_guard import is_arithmetic, is_literal
from perdure.curriculum.worlds.language.tasks import ReasoningGym
from tests.faults.totals import Totals, count

LIMIT = 0.5
"""Seconds of a processor for an answer."""
LATEST = 30.0
"""Seconds of the clock within which both scores must be there, the time for a new process included."""

NUMBERS = ("1e999999999", "9**9**9", "9^9^9", "9**9**9**9", "(10**10)!", "factorial(10**9)", "1/0", "nan", "-inf")
NUMBERS += ("1e400", "9" * 5_000, "9" * 100_000, "0x" + "f" * 5_000, "1," * 50_000, "1/" * 20_000, "-" * 50_000 + "1")
NUMBERS += ("\u0663\u0664", "\u00bd", "\u2460", "1_000", "True", "None", "0.1e-999999999", "1j")
NESTED = ("(" * 5_000, "[" * 100_000, "[" * 5_000 + "]" * 5_000, "(" * 90 + "1" + ")" * 90, '{"a":' * 5_000)
NESTED += ("sin(" * 300 + "x" + ")" * 300, "~" * 5_000 + "A", "-" * 2_000 + "x", "not " * 5_000)
PATTERNS = ("<answer>" * 20_000, "\\boxed{" * 20_000, "\\frac{" * 5_000, "$" * 10_001, "a" * 60 + "b")
PATTERNS += ("\n" * 100_000, "a, " * 30_000, "A" * 999_999, "x" * 2_000_000, "answer " * 30_000, "U R F " * 20_000)
PATTERNS += (" " * 100_000 + "x",)
CODE = ("__import__('os').system('true')", "open('/dev/null', 'w')", "exec('import os')", "eval('9**9')", "lambda: 0")
CODE += (
    "().__class__.__bases__[0].__subclasses__()",
    "[x for x in range(10**9)]",
    "'a'*10**10",
    "[0]*10**10",
    "quit()",
)
CODE += ("breakpoint()", "input()", "f'{9**9**9}'", "__import__('os')._exit(3)", "(lambda: (yield))()", "x.__class__")
CODE += ("{{7*7}}", "{% for i in range(10**9) %}{% endfor %}", "!!python/object/apply:os.system ['true']", "$(true)")
ALGEBRA = (
    "(x+1)**999",
    "(x+y+z)**300",
    "(x+y+z+w)**(1/2)",
    "x**x**x**x",
    "Integral(exp(-x**x), (x, 0, oo))",
    "1/(x-x)",
)
ALGEBRA += ("$9^{9^{9}}$", "$\\int_0^\\infty e^{-x^x} dx$", "$\\sum_{n=1}^{10^{9}} n$", "$\\sqrt[99999]{9^{99999}}$")
ALGEBRA += (
    "$\\lim_{x \\to 0} \\frac{\\sin x^{99}}{x}$",
    "$\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}^{9999}$",
    "$10000!!$",
)
TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[2J",
    "\ud800",
    "\u202eabc",
    "\U0001f3b2" * 10_000,
    "[1e999]",
    '{"__class__": 1}',
    "null",
)
TEXTS += ('"' * 10_000, "\\" * 10_000, "[[], {}, [[]], null]", '[["a", 1], {"b": [NaN]}]', "move(1, 2) " * 5_000)
KINDS = (NUMBERS, NESTED, PATTERNS, CODE, ALGEBRA, TEXTS)
ANSWERS = tuple(answer for kind in KINDS for answer in kind)

NAMED: dict[str, dict[str, Any]] = {
    "exact_match": {"type": "exact_match", "ignore_case": True},
    "numeric": {"type": "numeric"},
    "multiple_choice": {"type": "multiple_choice"},
    "regex (a+)+$": {"type": "regex", "pattern": "(a+)+$"},
    "regex with a group": {"type": "regex", "pattern": r"(?:.*\s)*answer\s*(\d+)"},
    "math_verify": {"type": "math_verify"},
}
GOLDS = ("4", r"\frac{1}{2}", "x^2 + 1", "B")
COMPOSITE = {"datasets": [{"name": name, "weight": 1, "config": {}} for name in ("gcd", "countdown")]}

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "os.remove")
FORBIDDEN += ("os.rename", "os.mkdir", "os.rmdir", "shutil.rmtree", "builtins.input", "pty.spawn")
SUMS = {"sympy", "Integer", "Float", "Rational", "Add", "Mul", "Pow"}


def run(limit: int | None = None) -> Totals:
    """Try the cases, or `limit` of them, spread over all."""
    os.environ["PYTHONHASHSEED"] = "0"  # some generators ask for it
    found = cases()
    chosen = found if limit is None else found[:: max(1, len(found) // limit)][:limit]
    return count(outcome(name, answer) for name, answer in chosen)


def cases() -> list[tuple[str, str]]:
    """Each reward by name with every answer, for one gold; all other subjects with one answer of each kind, in turn."""
    found = list[tuple[str, str]]()
    for number, name in enumerate(subjects()):
        whole = name.removesuffix(f": {GOLDS[0]}") in NAMED
        found += [(name, one) for one in (ANSWERS if whole else [kind[number % len(kind)] for kind in KINDS])]
    return found


def subjects() -> list[str]:
    """All rewards: by name with each of several gold answers, and reasoning-gym's."""
    from reasoning_gym.factory import DATASETS

    return [*(f"{name}: {gold}" for name in NAMED for gold in GOLDS), *(f"reasoning_gym {name}" for name in DATASETS)]


def outcome(name: str, answer: str) -> str | None:
    shown = f"{name}, {answer[:40]!r} ({len(answer)} characters)"
    began = time.monotonic()
    try:
        subject = attacked(name)
        score = subject.reward([subject.item], [answer])[0]
        after = subject.reward([subject.item], [subject.right])[0]
    except Exception as error:
        return f"{shown}: {type(error).__name__}: {error}"
    taken = time.monotonic() - began
    if score is not None and math.isnan(score):
        return f"{shown}: it was carried out"
    if score is not None and not 0 <= score <= 1:
        return f"{shown}: scored {score}"
    if taken > LATEST:
        return f"{shown}: took {taken:.0f} s"
    return None if after == subject.before else f"{shown}: the right answer then scored {after}, not {subject.before}"


@dataclass(frozen=True)
class Subject:
    """A reward that is attacked, an item of it, its right answer, and what that scores."""

    reward: Reward
    item: Item
    right: str
    before: float | None


@cache
def attacked(name: str) -> Subject:
    """The reward of a name in `subjects`, under the audit hook."""
    if name.startswith("reasoning_gym "):
        dataset = name.removeprefix("reasoning_gym ")
        given = {"config": COMPOSITE if dataset == "composite" else {}, "train": 1, "heldout": 2, "success": None}
        config = ReasoningGym.model_validate({"type": "reasoning_gym", "dataset": dataset} | given)
        item = load(config, name="attacked", seed=0).heldout[0]
        arguments = {"config": config.model_dump(), "seed": 0, "size": 3}
    else:
        kind, _, gold = name.partition(": ")
        item, arguments = Item("?", answer=gold, columns={"choices": ["1", "4", "9"]}), {"config": NAMED[kind]}
    reward = verifier(RewardRecipe(f"{__name__}:watched", arguments, name, name), LIMIT)
    right = item.answer or ""
    return Subject(reward, item, right, reward([item], [right])[0])


_carried_out: list[str] = []
_scored: list[str] = []
"""In the process of rewards: what an answer did, and the answer that is being scored."""


def watched(config: dict[str, Any], **more: int) -> Reward:
    """The maker of an attacked reward, which gives NaN for an answer that was carried out."""
    reward: Reward = verifier_of(config, **more) if more else made(config)
    _hook()

    def score(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
        _carried_out.clear()
        _scored[:] = [completions[0].strip()]
        try:
            found = reward(items, completions)
        finally:
            _scored.clear()
        return [math.nan] if _carried_out else found

    return score


@cache
def _hook() -> None:
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes what an answer must not do: start, write, ask; or run as code, unless it is a literal or arithmetic.

    Some verifiers run the item's own problem, which has none of the answer's names and figures; libraries run code of
    their own while they are imported; and math-verify has sums in an answer computed.
    """
    if not _scored:
        return
    writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
    runs = event == "exec" and arguments[0].co_filename == "<string>" and _is_of(arguments[0], _scored[0])
    harmless = runs and (is_literal(_scored[0]) or is_arithmetic(_scored[0]) or is_sum(arguments[0]) or _is_importing())
    if event in FORBIDDEN or writes or (runs and not harmless):
        _carried_out.append(event)


def is_sum(code: CodeType) -> bool:
    """True for code of numbers alone, as sympy runs for `1 + 1.5`: its own import, `Add(Integer(1), Float('1.5'))`."""
    written = [value for value in code.co_consts if isinstance(value, str)]
    plain = all(isinstance(value, int | float | str | tuple | None) for value in code.co_consts)
    return plain and set(code.co_names) <= SUMS and all(re.fullmatch(r"[\d.]+", value) for value in written)


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _is_of(code: Any, answer: str) -> bool:
    return any(name in answer for name in code.co_names) or any(
        str(value) in answer for value in code.co_consts if value is not None
    )
