"""A sweep as text: a table with a row a method, then the cells that failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from perdure.budget.base_id import at_settings
from perdure.budget.figures import figure
from perdure.cli.views.symbols import Symbols, clean
from perdure.curriculum.worlds.registry import nouns_of

CELL_COLUMNS = ("method", "runs", "accuracy", "forgetting", "KL, nats {per_token}{at}")
CELL_LEGEND = "at the end of each run; mean [95 % interval over runs]; forgetting is the mean drop of the benchmarks"
STREAM_COLUMNS = ("method", "runs", "average accuracy", "forgetting", "benchmark drop", "KL spent", "excess", "seconds")
STREAM_LEGEND = (
    "at the end of each run; mean [95 % interval over runs]; seconds of all stages, without the base's; KL{at} as the "
    "budget counts it, excess in nats "
    "{per_sequence} above the floor of the accuracy reached (n/a: {answer}s are not scored at temperature 1 and "
    "within the length of the texts of the KL, or by rewards that are not from 0 to 1)"
)
POOLED = (
    "a row is over all values of {axes}; results.parquet has each, and so has this table if the axis is called `arm`"
)
MAX_FAILURES = 20


def sweep_report(found: Mapping[str, Any], symbols: Symbols) -> list[Text]:
    """Title, table, failures; the terminal wraps them. `found` is `perdure.agent.sweep.summary.sweep_object`."""
    counts = f"{found['finished']} of {found['cells']} cells finished"
    failed = found["failed"]
    facts = [found["sweep"], counts, *([f"{len(failed)} failed"] if failed else []), found["status"]]
    lines = [Text(clean(f" {symbols.dot} ".join(facts), symbols), style="bold"), Text("")]
    if found["methods"]:
        streams = all(line.get("lives") for line in found["methods"])
        head, legend = (STREAM_COLUMNS, STREAM_LEGEND) if streams else (CELL_COLUMNS, CELL_LEGEND)
        nouns = nouns_of(found["world"] or "")
        words = {
            "answer": nouns.answer,
            "per_token": nouns.per("token"),
            "per_sequence": nouns.per("sequence"),
            "at": at_settings(found["base_id"] or ""),
        }
        rows = [_row(line, "lives" if streams else None) for line in found["methods"]]
        lines += [
            *_table([one.format(**words) for one in head], rows, symbols),
            Text(clean(legend.format(**words), symbols), style="dim"),
            *(
                [Text(clean(POOLED.format(axes=", ".join(found["pooled"])), symbols), style="dim")]
                if found["pooled"]
                else []
            ),
            Text(""),
        ]
    if failed:
        lines += [*_failures(found, symbols), Text("")]
    return lines


def name_cell(cell: str, values: Mapping[str, Any], seed: int) -> str:
    """`cell 0007 (arm sft-1, learning_rate 1e-05, seed 0)`."""
    return f"cell {cell} ({facts_of_cell(values, seed)})"


def facts_of_cell(values: Mapping[str, Any], seed: int) -> str:
    """`arm sft-1, learning_rate 1e-05, seed 0`."""
    return ", ".join([*(f"{name} {_shown(value)}" for name, value in values.items()), f"seed {seed}"])


def one_line(reason: str) -> str:
    """A reason on one line."""
    line = " ".join(reason.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def _table(head: Sequence[str], found: Sequence[Sequence[str]], symbols: Symbols) -> list[Text]:
    rows = [tuple(clean(part, symbols) for part in row) for row in found]
    widths = [max(cell_len(part) for part in column) for column in zip(head, *rows, strict=True)]
    return [Text(_line(head, widths), style="bold"), *(Text(_line(row, widths)) for row in rows)]


def _row(line: Mapping[str, Any], group: str | None) -> tuple[str, ...]:
    means = line[group].values() if group else (line[key] for key in ("accuracy", "forgetting", "kl"))
    runs = f"{line['runs']} ({line['broken']} broken)" if line["broken"] else str(line["runs"])
    return (line["method"], runs, *map(format_mean, means))


def format_mean(mean: Mapping[str, Any]) -> str:
    """`0.948 [0.931, 0.965]`, `0.948 (n=1)`, `n/a`."""
    if mean["value"] is None:
        return "n/a"
    if mean["low"] is None:
        return f"{figure(mean['value'])} (n={mean['n']})"
    return f"{figure(mean['value'])} [{figure(mean['low'])}, {figure(mean['high'])}]"


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))


def _failures(found: Mapping[str, Any], symbols: Symbols) -> list[Text]:
    failed = found["failed"]
    lines = [
        f"  {name_cell(one['cell'], one['values'], one['seed'])}: {one_line(one['reason'])}"
        for one in failed[:MAX_FAILURES]
    ]
    lines += [f"  and {len(failed) - MAX_FAILURES} more"] if len(failed) > MAX_FAILURES else []
    lines += [f"  details in {found['folder']}/failed; run them again with: perdure resume {found['folder']}"]
    return [Text("failed", style="bold red"), *(Text(clean(line, symbols)) for line in lines)]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
