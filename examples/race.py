"""Races a learned strategy against the hand-made ones, on lives that nothing was trained on.

    python -m examples.race learned.json --lives 20

Every strategy lives the same lives, each a run as of `perdure run`: the same base, seeds and tasks, and the stages in
the same order. A fixed method takes all of what is left of the budget; where it cannot learn a task, the first that
can stands in. `chance` draws both evenly.

The table has means over lives and 95 % intervals (Student's t). `value` is the rise of average accuracy less the
benchmark drop, which the environment's rewards add up to; the last column is the value less the learned strategy's in
the same life.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from examples.learned import Linear, load
from perdure.agent.environment.episodes import Lives, episode, left_to, read
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, active_seconds, read_state
from perdure.agent.strategies.contract import Decision, Situation
from perdure.budget.significance import student
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import BanditStrategy, ProbeStrategy, PythonStrategy, RuleStrategy, StrategyConfig

FIRST_SEED = 1_000_000
"""Of the lives of a race; those of a training have the seeds from 0."""


@dataclass(frozen=True)
class Constant:
    """Always the same method and all of what is left; the first of `methods` where it cannot learn the task."""

    method: str
    methods: Sequence[str]

    def choose(self, situation: Situation) -> Decision:
        """See `perdure.agent.strategies.contract.Strategy`."""
        known = {str(method): method for method in situation.methods}
        name = next(name for name in (self.method, *self.methods) if name in known)
        return Decision(known[name], "always the same", share=1.0)


@dataclass(frozen=True)
class Chance:
    """Any method and any share, at the seed of the stage."""

    methods: Sequence[str]
    shares: Sequence[float]

    def choose(self, situation: Situation) -> Decision:
        """See `perdure.agent.strategies.contract.Strategy`."""
        draw = Random(situation.seed)
        method = draw.choice([method for method in situation.methods if method in self.methods])
        return Decision(method, "by chance", share=draw.choice(list(self.shares)))


@dataclass(frozen=True)
class Outcome:
    """How a life ended, as fractions, nats and seconds."""

    value: float
    accuracy: float
    benchmark_drop: float
    kl: float
    seconds: float


def outcome(record: RunState, seconds: float) -> Outcome:
    """What the record of a life that is over comes to."""
    base, last = record.rows[0], record.rows[-1]
    accuracy = float(np.mean([last.scores[name].value for name in record.tasks]))
    before = float(np.mean([base.scores[name].value for name in record.tasks]))
    drop = record.drop(last, record.benchmarks) or 0.0
    return Outcome(accuracy - before - drop, accuracy, drop, last.readings[-1].kl_per_token.value, seconds)


def lived(lives: Lives, curriculum: Curriculum) -> Outcome:
    """One life, in a folder that does not stay."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "life"
        run_curriculum(lives.begin(curriculum, folder))
        events = list(read_journal(folder / "journal.jsonl"))
    return outcome(read_state(events), active_seconds(events))


def racers(file: Path, policy: Linear) -> dict[str, StrategyConfig]:
    """Everyone who races, as a curriculum would say it."""

    def own(path: str, **args: object) -> PythonStrategy:
        return PythonStrategy(type="python", path=path, args=args)

    methods, shares = list(policy.methods), list(policy.shares)
    fixed = {name: own("examples.race:Constant", method=name, methods=methods) for name in methods}
    return {
        "learned": own("examples.learned:strategy", file=str(file)),
        **fixed,
        "chance": own("examples.race:Chance", methods=methods, shares=shares),
        "rule": RuleStrategy(type="rule"),
        "probe": ProbeStrategy(type="probe"),
        "bandit": BanditStrategy(type="bandit"),
    }


def race(file: Path, curriculum: Curriculum, seeds: Sequence[int]) -> dict[str, list[Outcome]]:
    """The outcome of each life, by strategy."""
    lives = Lives()
    return {
        name: [lived(lives, episode(left_to(section, curriculum), seed, shuffle=True)) for seed in seeds]
        for name, section in racers(file, load(file)).items()
    }


def table(found: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Lines of a Markdown table, the best value first."""
    ranked = sorted(found, key=lambda name: -float(np.mean([one.value for one in found[name]])))
    own = [one.value for one in found["learned"]]
    lines = [
        "| strategy | value | average accuracy | benchmark drop | KL | seconds | less the learned |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ranked:
        lives = found[name]
        difference = [one.value - other for one, other in zip(lives, own, strict=True)]
        cells = [_shown([getattr(one, column) for one in lives]) for column in ("value", "accuracy", "benchmark_drop")]
        kl, seconds = (float(np.mean([getattr(one, column) for one in lives])) for column in ("kl", "seconds"))
        last = "" if name == "learned" else _shown(difference)
        lines.append(f"| {name} | {' | '.join(cells)} | {kl:.3f} | {seconds:.1f} | {last} |")
    return lines


def _shown(values: Sequence[float]) -> str:
    """Mean and interval; an interval needs two lives."""
    count = len(values)
    if count < 2:
        return f"{values[0]:.3f} (n=1)"
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    low, high = student(mean, spread / count**0.5, count - 1, 0.95)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Race and print."""
    parser = argparse.ArgumentParser(description="Race a learned strategy against the hand-made ones.")
    parser.add_argument("file", type=Path, help="what examples.train_strategy wrote")
    parser.add_argument("--curriculum", default="stream-gym", help="a shipped name or a path")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--lives", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.lives)
    found = race(given.file, read(given.curriculum, given.overrides), seeds)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
