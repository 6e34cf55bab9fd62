"""Methods and strategies against each other over several streams: `python -m tests.bench.contest SWEEP…`, as Markdown.

Each SWEEP is one stream's, and several of one name are pooled: the arms are methods, those named in `STRATEGIES` are
strategies, and every arm has run the same seeds, each once. A seed is the unit of every interval (Student's, 95 %),
and two arms are compared seed by seed. A mean over fewer runs than the arm's says over how many.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from perdure.agent.run.folder import read_json
from perdure.agent.sweep.folder import SweepFolder, read_description
from perdure.agent.sweep.results import collect
from perdure.agent.sweep.summary import RUN_FIGURES, Mean, by_method, mean_over_runs
from perdure.budget.errors import DataError, PerdureError

STRATEGIES = ("rule", "probe", "bandit", "race", "race-all")
SCORE = "average_accuracy"

Seeds = Mapping[int, float]
Stream = Mapping[str, Seeds]
"""The average accuracy of each arm by seed."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The last row of every run of a sweep that is done, and in it `learned`, the mean of R[j, j] over its stages."""
    folder = SweepFolder(path)
    described = read_description(folder)
    table = collect(folder, [cell["id"] for cell in described["cells"]], described["name"])
    rows = [] if table is None else table.to_pylist()
    return [row | {"learned": learned(rows, row["cell"])} for row in rows if row["final"]]


def learned(rows: Sequence[Mapping[str, Any]], cell: str) -> float:
    """The mean over the stages of a run of the accuracy on the stage's own task, right after it."""
    own = [row["accuracy"] for row in rows if row["cell"] == cell]
    return float(sum(own) / len(own))


def scores(rows: Sequence[Mapping[str, Any]], what: str = SCORE) -> Stream:
    """Average accuracy, or another figure, by arm and seed."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["seed"]] = row[what]
    return found


def refuse_twice(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a stream in which an arm has run a seed more than once: no figure says which of the runs it is.

    Raises:
        DataError: it has; each such arm and seed is named.
    """
    counts = Counter((str(row["method"]), int(row["seed"])) for row in rows)
    twice = [f"{arm} at seed {seed} ({count} runs)" for (arm, seed), count in sorted(counts.items()) if count > 1]
    if twice:
        raise DataError(
            f"stream {name!r}: {', '.join(twice)}. An arm may live a seed once: name a sweep once, and leave out one "
            "of two that share arms and seeds"
        )


def difference(one: Seeds, other: Seeds) -> Mean:
    """One less the other, over the seeds that both have."""
    return mean_over_runs([one[seed] - other[seed] for seed in one if seed in other])


def less(one: Seeds, other: Seeds, runs: int | None = None) -> str:
    """The difference in words, with its number where it is below `runs`, or the seeds of the arm that has more."""
    return words(difference(one, other), max(len(one), len(other)) if runs is None else runs)


def best_fixed(stream: Stream) -> str:
    """The fixed method with the highest mean: known only in hindsight, and flattered by having been picked."""
    fixed = {
        arm: mean_over_runs(list(seeds.values())).value or 0.0 for arm, seeds in stream.items() if arm not in STRATEGIES
    }
    return max(fixed, key=lambda arm: fixed[arm])


def over_streams(streams: Sequence[Stream]) -> Stream:
    """The mean over streams of each arm that run in all of them, by the seeds that all have."""
    arms = [arm for arm in streams[0] if all(arm in stream for stream in streams)]
    return {
        arm: {
            seed: sum(stream[arm][seed] for stream in streams) / len(streams)
            for seed in streams[0][arm]
            if all(seed in stream[arm] for stream in streams)
        }
        for arm in arms
    }


def words(figure: Mean, runs: int) -> str:
    """`0.948 [0.931, 0.965]`; with `(n 3)` where only three of the `runs` tell it, `n/a` where none does."""
    if figure.value is None:
        return "n/a"
    interval = "" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return f"{figure.value:.3f}{interval}{f' (n {figure.n})' if figure.n < runs else ''}"


def stream_page(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One stream: the table of all arms by falling average accuracy, and its strategies against the best fixed one."""
    head = ["arm", "n", *(one.replace("life", "run").replace("_", " ") for one in RUN_FIGURES), "learned"]
    lines = [f"### {name}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    table = sorted(by_method(rows), key=lambda line: -(line.lives[SCORE].value or 0.0))
    for line in table:
        learnt = mean_over_runs([row["learned"] for row in rows if row["method"] == line.method])
        figures = [words(one, line.runs) for one in (*line.lives.values(), learnt)]
        lines.append(f"| `{line.method}` | {line.runs} | {' | '.join(figures)} |")
    found = scores(rows)
    if not set(STRATEGIES) & found.keys():
        own = scores(rows, "learned")
        most = max(own, key=lambda arm: fmean(own[arm].values()))
        others = [f"than `{arm}` {less(own[most], own[arm])}" for arm in own if arm != most]
        return [*lines, "", f"Most learned right after a stage: `{most}`; more {'; '.join(others)}.", ""]
    best = best_fixed(found)
    told = [f"`{arm}` {less(found[arm], found[best])}" for arm in STRATEGIES if arm in found]
    return [*lines, "", f"Best fixed method in hindsight: `{best}`. Less it: {'; '.join(told)}.", ""]


def all_page(streams: Sequence[Stream]) -> list[str]:
    """All streams together: each arm's mean, and each strategy less each fixed method."""
    together = over_streams(streams)
    shown = [arm for arm in STRATEGIES if arm in together]
    most = max((len(seeds) for stream in streams for seeds in stream.values()), default=0)
    order = sorted(together, key=lambda arm: -(mean_over_runs(list(together[arm].values())).value or 0.0))
    lines = [
        "### over all streams",
        "",
        "| arm | average accuracy | " + " | ".join(f"`{one}` less it" for one in shown),
    ]
    lines[-1] += " |"
    lines += ["|---|---|" + "---|" * len(shown)]
    for arm in order:
        own = words(mean_over_runs(list(together[arm].values())), most)
        differences = [less(together[one], together[arm], most) if one != arm else "" for one in shown]
        lines.append(f"| `{arm}` | {own} | {' | '.join(differences)} |")
    return [*lines, ""]


def main(paths: Sequence[str]) -> None:
    """Print every stream, then all of them; folders of sweeps of one name are one stream."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in map(Path, paths):
        rows.setdefault(str(read_json(SweepFolder(path).description)["name"]), []).extend(rows_of(path))
    for name, found in rows.items():
        refuse_twice(name, found)
    for name, found in rows.items():
        print("\n".join(stream_page(name, found)))
    if len(rows) > 1:
        print("\n".join(all_page([scores(found) for found in rows.values()])))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PerdureError as error:
        sys.exit(str(error))
