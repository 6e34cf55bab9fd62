"""Methods and strategies against each other over several streams: `python -m tests.bench.contest SWEEP…`, as Markdown.

Each SWEEP is one stream's: the arms are methods, those named in `STRATEGIES` strategies, and every arm has lived the
same seeds. A seed is the unit of every interval (Student's, 95 %), and two arms are compared seed by seed.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perdure.agent.folder import read_json
from perdure.agent.sweep.folder import SweepFolder, read_description
from perdure.agent.sweep.results import collect
from perdure.agent.sweep.summary import OF_LIVES, Mean, by_method, mean

STRATEGIES = ("rule", "probe", "bandit")
SCORE = "average_accuracy"

Seeds = Mapping[int, float]
Stream = Mapping[str, Seeds]
"""The average accuracy of each arm by seed."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The last row of every life of a sweep that is done."""
    folder = SweepFolder(path)
    described = read_description(folder)
    table = collect(folder, [cell["id"] for cell in described["cells"]], described["name"])
    return [] if table is None else table.filter(table["final"]).to_pylist()


def scores(rows: Sequence[Mapping[str, Any]]) -> Stream:
    """Average accuracy by arm and seed."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["seed"]] = row[SCORE]
    return found


def difference(one: Seeds, other: Seeds) -> Mean:
    """One less the other, over the seeds that both have."""
    return mean([one[seed] - other[seed] for seed in one if seed in other])


def best_fixed(stream: Stream) -> str:
    """The fixed method with the highest mean: known only in hindsight, and flattered by having been picked."""
    fixed = {arm: mean(list(seeds.values())).value or 0.0 for arm, seeds in stream.items() if arm not in STRATEGIES}
    return max(fixed, key=lambda arm: fixed[arm])


def over_streams(streams: Sequence[Stream]) -> Stream:
    """The mean over streams of each arm that lived in all of them, by the seeds that all have."""
    arms = [arm for arm in streams[0] if all(arm in stream for stream in streams)]
    return {
        arm: {
            seed: sum(stream[arm][seed] for stream in streams) / len(streams)
            for seed in streams[0][arm]
            if all(seed in stream[arm] for stream in streams)
        }
        for arm in arms
    }


def words(figure: Mean) -> str:
    """`0.948 [0.931, 0.965]`; `n/a` where nothing is known."""
    if figure.value is None:
        return "n/a"
    return f"{figure.value:.3f}" if figure.low is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def stream_page(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One stream: the table of all arms by falling average accuracy, and its strategies against the best fixed one."""
    lines = [f"### {name}", "", "| arm | n | " + " | ".join(one.replace("_", " ") for one in OF_LIVES) + " |"]
    lines += ["|---|---|" + "---|" * len(OF_LIVES)]
    table = sorted(by_method(rows), key=lambda line: -(line.lives[SCORE].value or 0.0))
    lines += [
        f"| `{line.method}` | {line.runs} | " + " | ".join(words(line.lives[one]) for one in OF_LIVES) + " |"
        for line in table
    ]
    found = scores(rows)
    best = best_fixed(found)
    told = [f"`{arm}` {words(difference(found[arm], found[best]))}" for arm in STRATEGIES if arm in found]
    return [*lines, "", f"Best fixed method in hindsight: `{best}`. Less it: {'; '.join(told)}.", ""]


def all_page(streams: Sequence[Stream]) -> list[str]:
    """All streams together: each arm's mean, and each strategy less each fixed method."""
    together = over_streams(streams)
    shown = [arm for arm in STRATEGIES if arm in together]
    order = sorted(together, key=lambda arm: -(mean(list(together[arm].values())).value or 0.0))
    lines = [
        "### over all streams",
        "",
        "| arm | average accuracy | " + " | ".join(f"`{one}` less it" for one in shown),
    ]
    lines[-1] += " |"
    lines += ["|---|---|" + "---|" * len(shown)]
    for arm in order:
        less = [words(difference(together[one], together[arm])) if one != arm else "" for one in shown]
        lines.append(f"| `{arm}` | {words(mean(list(together[arm].values())))} | {' | '.join(less)} |")
    return [*lines, ""]


def main(paths: Sequence[str]) -> None:
    """Print every stream, then all of them."""
    streams = []
    for path in paths:
        rows = rows_of(Path(path))
        name = str(read_json(SweepFolder(Path(path)).description)["name"])
        print("\n".join(stream_page(name, rows)))
        streams.append(scores(rows))
    if len(streams) > 1:
        print("\n".join(all_page(streams)))


if __name__ == "__main__":
    main(sys.argv[1:])
