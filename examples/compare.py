"""Compares strategies, one of your own among them, with fixed methods and with chance.

    python -m examples.compare --runs 20
    python -m examples.compare --runs 20 --own thrift:Thrift

Every strategy has the same runs: the same base, seeds and tasks, and the stages in the same order. A fixed method uses
all of the remaining budget; the first that can learn a task replaces one that cannot. `chance` draws both uniformly.

The table has means over runs and 95 % intervals (Student's t). `value` is the rise of average accuracy less the
benchmark drop, the sum of the environment's rewards; the last column is the value less that of the best row in the same
run, which is flattered by having been picked.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from perdure.agent.environment.actions import DEFAULT_SHARES, action_methods
from perdure.agent.environment.episodes import Episodes, episode, load_curriculum, with_strategy
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, active_seconds, read_state
from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.significance import student
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import (
    BanditStrategy,
    ProbeStrategy,
    PythonStrategy,
    RaceStrategy,
    RuleStrategy,
    StrategyConfig,
)

FIRST_SEED = 1_000_000
"""The first seed of a comparison; what is made by looking at runs may look at those from 0."""


@dataclass(frozen=True)
class Constant:
    """Always one method and all of the remaining budget; if it cannot learn the task, the first of `methods`."""

    method: str
    methods: Sequence[str]

    def choose(self, situation: Situation) -> Decision:
        """See `perdure.agent.strategies.contract.Strategy`."""
        known = {str(method): method for method in situation.methods}
        name = next(name for name in (self.method, *self.methods) if name in known)
        return Decision(known[name], "always the same", share=1.0)


@dataclass(frozen=True)
class Chance:
    """A random method and share, drawn with the seed of the stage."""

    methods: Sequence[str]
    shares: Sequence[float]

    def choose(self, situation: Situation) -> Decision:
        """See `perdure.agent.strategies.contract.Strategy`."""
        draw = Random(situation.seed)
        method = draw.choice([method for method in situation.methods if method in self.methods])
        return Decision(method, "by chance", share=draw.choice(list(self.shares)))


@dataclass(frozen=True)
class RunResult:
    """The result of a run, in fractions, nats and seconds."""

    value: float
    accuracy: float
    benchmark_drop: float
    kl: float
    seconds: float


def run_result(record: RunState, seconds: float) -> RunResult:
    """The result of a finished run."""
    base, last = record.rows[0], record.rows[-1]
    accuracy = float(np.mean([last.scores[name].value for name in record.tasks]))
    before = float(np.mean([base.scores[name].value for name in record.tasks]))
    drop = record.drop(last, record.benchmarks) or 0.0
    return RunResult(accuracy - before - drop, accuracy, drop, last.readings[-1].kl_per_token.value, seconds)


def run_once(episodes: Episodes, curriculum: Curriculum) -> RunResult:
    """Run a curriculum in a temporary folder."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        run_curriculum(episodes.start(curriculum, folder))
        events = list(read_journal(folder / "journal.jsonl"))
    return run_result(read_state(events), active_seconds(events))


def strategies_of(curriculum: Curriculum, own: str | None) -> dict[str, StrategyConfig]:
    """The strategies to compare, as sections of a curriculum; `own` is the path of one more."""

    def python(path: str, **args: object) -> PythonStrategy:
        return PythonStrategy(type="python", path=path, args=args)

    methods = list(action_methods(None, curriculum.spec))
    fixed = {name: python("examples.compare:Constant", method=name, methods=methods) for name in methods}
    return {
        **({} if own is None else {"own": python(own)}),
        **fixed,
        "chance": python("examples.compare:Chance", methods=methods, shares=DEFAULT_SHARES),
        "rule": RuleStrategy(type="rule"),
        "probe": ProbeStrategy(type="probe"),
        "bandit": BanditStrategy(type="bandit"),
        "race": RaceStrategy(type="race", share=0.25),
    }


def compare(curriculum: Curriculum, seeds: Sequence[int], own: str | None = None) -> dict[str, list[RunResult]]:
    """The results of all runs, by strategy."""
    episodes = Episodes()
    return {
        name: [run_once(episodes, episode(with_strategy(section, curriculum), seed, shuffle=True)) for seed in seeds]
        for name, section in strategies_of(curriculum, own).items()
    }


def table_of(found: Mapping[str, Sequence[RunResult]]) -> list[str]:
    """Lines of a Markdown table, the best value first."""
    ranked = sorted(found, key=lambda name: -float(np.mean([one.value for one in found[name]])))
    best = [one.value for one in found[ranked[0]]]
    lines = [
        "| strategy | value | average accuracy | benchmark drop | KL | seconds | less the best |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ranked:
        runs = found[name]
        difference = [one.value - other for one, other in zip(runs, best, strict=True)]
        cells = [_cell([getattr(one, column) for one in runs]) for column in ("value", "accuracy", "benchmark_drop")]
        kl, seconds = (float(np.mean([getattr(one, column) for one in runs])) for column in ("kl", "seconds"))
        last = "" if name == ranked[0] else _cell(difference)
        lines.append(f"| {name} | {' | '.join(cells)} | {kl:.3f} | {seconds:.1f} | {last} |")
    return lines


def _cell(values: Sequence[float]) -> str:
    """Mean and interval; an interval needs two runs."""
    count = len(values)
    if count < 2:
        return f"{values[0]:.3f} (n=1)"
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    low, high = student(mean, spread / count**0.5, count - 1, 0.95)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Compare strategies with fixed methods and with chance.")
    parser.add_argument("--own", help="a strategy of yours: module:name")
    parser.add_argument("--curriculum", default="stream-gym", help="a shipped name or a path")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.runs)
    found = compare(load_curriculum(given.curriculum, given.overrides), seeds, given.own)
    print("\n".join(table_of(found)))


if __name__ == "__main__":
    main()
