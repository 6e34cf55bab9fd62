"""Compares a learned strategy with the others, on runs that it was not trained on.

    python -m examples.race learned.json --runs 20

Every strategy has the same runs: the same base, seeds and tasks, and the stages in the same order. A fixed method uses
all of the remaining budget; the first that can learn a task replaces one that cannot. `chance` draws both uniformly.

The table has means over runs and 95 % intervals (Student's t). `value` is the rise of average accuracy less the
benchmark drop, the sum of the environment's rewards; the last column is the value less the learned strategy's in the
same run.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from examples.learned import LinearPolicy, load_linear_policy
from perdure.agent.environment.episodes import Episodes, episode, load_curriculum, with_strategy
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, active_seconds, read_state
from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.significance import student
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import BanditStrategy, ProbeStrategy, PythonStrategy, RuleStrategy, StrategyConfig

FIRST_SEED = 1_000_000
"""The first seed of a race; training uses seeds from 0."""


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
class RaceResult:
    """The result of a run, in fractions, nats and seconds."""

    value: float
    accuracy: float
    benchmark_drop: float
    kl: float
    seconds: float


def race_result(record: RunState, seconds: float) -> RaceResult:
    """The result of a finished run."""
    base, last = record.rows[0], record.rows[-1]
    accuracy = float(np.mean([last.scores[name].value for name in record.tasks]))
    before = float(np.mean([base.scores[name].value for name in record.tasks]))
    drop = record.drop(last, record.benchmarks) or 0.0
    return RaceResult(accuracy - before - drop, accuracy, drop, last.readings[-1].kl_per_token.value, seconds)


def run_once(episodes: Episodes, curriculum: Curriculum) -> RaceResult:
    """Run a curriculum in a temporary folder."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        run_curriculum(episodes.start(curriculum, folder))
        events = list(read_journal(folder / "journal.jsonl"))
    return race_result(read_state(events), active_seconds(events))


def racers(file: Path, policy: LinearPolicy) -> dict[str, StrategyConfig]:
    """The strategies to compare, as sections of a curriculum."""

    def python(path: str, **args: object) -> PythonStrategy:
        return PythonStrategy(type="python", path=path, args=args)

    methods, shares = list(policy.methods), list(policy.shares)
    fixed = {name: python("examples.race:Constant", method=name, methods=methods) for name in methods}
    return {
        "learned": python("examples.learned:strategy", file=str(file)),
        **fixed,
        "chance": python("examples.race:Chance", methods=methods, shares=shares),
        "rule": RuleStrategy(type="rule"),
        "probe": ProbeStrategy(type="probe"),
        "bandit": BanditStrategy(type="bandit"),
    }


def race(file: Path, curriculum: Curriculum, seeds: Sequence[int]) -> dict[str, list[RaceResult]]:
    """The results of all runs, by strategy."""
    episodes = Episodes()
    return {
        name: [run_once(episodes, episode(with_strategy(section, curriculum), seed, shuffle=True)) for seed in seeds]
        for name, section in racers(file, load_linear_policy(file)).items()
    }


def race_table(found: Mapping[str, Sequence[RaceResult]]) -> list[str]:
    """Lines of a Markdown table, the best value first."""
    ranked = sorted(found, key=lambda name: -float(np.mean([one.value for one in found[name]])))
    learned = [one.value for one in found["learned"]]
    lines = [
        "| strategy | value | average accuracy | benchmark drop | KL | seconds | less the learned |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ranked:
        runs = found[name]
        difference = [one.value - other for one, other in zip(runs, learned, strict=True)]
        cells = [_cell([getattr(one, column) for one in runs]) for column in ("value", "accuracy", "benchmark_drop")]
        kl, seconds = (float(np.mean([getattr(one, column) for one in runs])) for column in ("kl", "seconds"))
        last = "" if name == "learned" else _cell(difference)
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
    """Race and print."""
    parser = argparse.ArgumentParser(description="Compare a learned strategy with the others.")
    parser.add_argument("file", type=Path, help="written by examples.train_strategy")
    parser.add_argument("--curriculum", default="stream-gym", help="a shipped name or a path")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.runs)
    found = race(given.file, load_curriculum(given.curriculum, given.overrides), seeds)
    print("\n".join(race_table(found)))


if __name__ == "__main__":
    main()
