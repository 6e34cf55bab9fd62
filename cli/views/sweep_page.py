"""The table of a sweep as text: one line a method, then the cells that failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from perdure.budget.figures import figure
from perdure.cli.views.live import on_terminal
from perdure.cli.views.symbols import ASCII, Glyphs, clean, glyphs_for

HEAD = ("method", "runs", "accuracy", "forgetting", "KL, nats a token")
LEGEND = "at the end of each run; mean [95 % interval over runs]; forgetting is the mean drop of the benchmarks"
LIVES_HEAD = ("method", "runs", "average accuracy", "forgetting", "benchmark drop", "KL spent", "excess", "seconds")
LIVES_LEGEND = (
    "at the end of each life; mean [95 % interval over lives]; KL as the budget counts it, excess in nats a sequence "
    "above the floor of the accuracy reached (n/a: answers are not scored at temperature 1)"
)
MOST_FAILURES = 20


def print_page(found: Mapping[str, Any], console: Console) -> None:
    """The page in the characters of the terminal; off a terminal ASCII without a style. Lines are left to wrap."""
    terminal = on_terminal(console)
    for line in page(found, glyphs_for(console.encoding) if terminal else ASCII):
        if terminal:
            console.print(line)
        else:
            console.file.write(line.plain.rstrip() + "\n")


def page(found: Mapping[str, Any], glyphs: Glyphs) -> list[Text]:
    """All lines: title, table, failures. `found` is `perdure.agent.sweep.summary.sweep_object`."""
    counts = f"{found['finished']} of {found['cells']} cells finished"
    failed = found["failed"]
    facts = [found["sweep"], counts, *([f"{len(failed)} failed"] if failed else []), found["status"]]
    lines = [Text(clean(f" {glyphs.dot} ".join(facts), glyphs), style="bold"), Text("")]
    if found["methods"]:
        lives = all(line.get("lives") for line in found["methods"])
        head, legend = (LIVES_HEAD, LIVES_LEGEND) if lives else (HEAD, LEGEND)
        rows = [_lives_row(line) if lives else _row(line) for line in found["methods"]]
        lines += [*_table(head, rows, glyphs), Text(clean(legend, glyphs), style="dim"), Text("")]
    if failed:
        lines += [*_failures(found, glyphs), Text("")]
    return lines


def cell_words(cell: str, values: Mapping[str, Any], seed: int) -> str:
    """`cell 0007 (arm sft-1, learning_rate 1e-05, seed 0)`."""
    facts = [*(f"{name} {_shown(value)}" for name, value in values.items()), f"seed {seed}"]
    return f"cell {cell} ({', '.join(facts)})"


def reason_words(reason: str) -> str:
    """A reason on one line."""
    line = " ".join(reason.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def _table(head: Sequence[str], found: Sequence[Sequence[str]], glyphs: Glyphs) -> list[Text]:
    rows = [tuple(clean(part, glyphs) for part in row) for row in found]
    widths = [max(cell_len(part) for part in column) for column in zip(head, *rows, strict=True)]
    return [Text(_line(head, widths), style="bold"), *(Text(_line(row, widths)) for row in rows)]


def _row(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (line["method"], _runs(line), *(mean_words(line[key]) for key in ("accuracy", "forgetting", "kl")))


def _lives_row(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (line["method"], _runs(line), *(mean_words(mean) for mean in line["lives"].values()))


def _runs(line: Mapping[str, Any]) -> str:
    return f"{line['runs']} ({line['broken']} broken)" if line["broken"] else str(line["runs"])


def mean_words(mean: Mapping[str, Any]) -> str:
    """`0.948 [0.931, 0.965]`, `0.948 (n=1)`, `n/a`."""
    if mean["value"] is None:
        return "n/a"
    if mean["low"] is None:
        return f"{figure(mean['value'])} (n={mean['n']})"
    return f"{figure(mean['value'])} [{figure(mean['low'])}, {figure(mean['high'])}]"


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))


def _failures(found: Mapping[str, Any], glyphs: Glyphs) -> list[Text]:
    failed = found["failed"]
    told = [
        f"  {cell_words(one['cell'], one['values'], one['seed'])}: {reason_words(one['reason'])}"
        for one in failed[:MOST_FAILURES]
    ]
    more = len(failed) - len(told)
    told += [f"  and {more} more"] if more > 0 else []
    told += [f"  more of each in {found['folder']}/failed; tried again by: perdure resume {found['folder']}"]
    return [Text("failed", style="bold red"), *(Text(clean(line, glyphs)) for line in told)]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
