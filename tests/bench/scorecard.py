"""A stream of many tasks, scored in full and as far as it takes: the time of the runs, and the verdicts that change."""

import json
import math
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from typing import Any

from perdure.agent.run.events import Scored
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.run.report import Change, changes
from perdure.curriculum.task import Item, Task
from tests.bench.figures import Figure, Options, Report, Series, Target, against, alone
from tests.bench.processes import run

STAGES, SHORTER, HELDOUT, STEPS = 20, (5,), 400, 10
SEEDS = (0,)
RULES: tuple[Callable[[str], str], ...] = (
    lambda word: word[0],
    lambda word: word[-1],
    lambda word: word[1],
    lambda word: word[::-1],
    lambda word: word.upper(),
    lambda word: "".join(sorted(word)),
    lambda word: word[0] + word[-1],
    lambda word: word[0] * 2,
    max,
    min,
)


def rule(*, seed: int, train: int, heldout: int, number: int) -> Task:
    """What to do with some letters, asked by a number; from 10 on the answer is in capitals, or the other way round."""
    rng, known = Random(f"{seed} {number}"), set[str]()
    while len(known) < train + heldout:
        known.add(" ".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(3, 5))))
    items = [_item(number, letters) for letters in sorted(known)]
    rng.shuffle(items)
    return Task(f"rule{number}", tuple(items[:train]), tuple(items[train:]))


def _item(number: int, letters: str) -> Item:
    done = RULES[number % len(RULES)](letters.replace(" ", ""))
    answer = done.swapcase() if number >= len(RULES) else done
    prompt = [{"role": "user", "content": f"{number}: {letters}"}]
    return Item(prompt, answer=answer, demonstration=answer)


@dataclass(frozen=True)
class _Run:
    """CPU seconds of the process, seconds and answers of the scorecard of a stage, and the tests against the base."""

    cpu: float
    scoring: float
    asked: float
    tests: dict[tuple[int, str], Change]
    metrics: dict[str, float]


def measure(_: Options) -> Report:
    """Runs of the same stream with `items: all` and `items: adaptive`, alternately, a seed a pair."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pairs = [[_run(folder, STAGES, seed, items) for items in ("all", "adaptive")] for seed in SEEDS]
        short = {stages: [_run(folder, stages, 0, items) for items in ("all", "adaptive")] for stages in SHORTER}
    whole, part = ([pair[side] for pair in pairs] for side in (0, 1))
    table = short | {STAGES: pairs[0]}
    figures = [
        against(
            f"CPU time of {STAGES} stages",
            Series(tuple(one.cpu for one in part), "s"),
            Series(tuple(one.cpu for one in whole), "s"),
            Target("at most", 0.55, "×"),
        ),
        _growth({stages: runs[1].asked for stages, runs in table.items()}),
        _changed(whole, part),
    ]
    return Report(tuple(figures), tuple(_notes(pairs, table)))


def _run(folder: Path, stages: int, seed: int, items: str) -> _Run:
    path = folder / f"{stages}-{seed}-{items}"
    file = path.with_suffix(".yaml")
    file.write_text(json.dumps(_curriculum(stages, seed, items)))  # JSON is YAML
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run([sys.executable, "-m", "perdure.cli.main", "run", file, "--plain", "--output-dir", path])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    record, events = read_record(RunFolder(path))
    scored = [(old, event) for old, event in pairwise(events) if isinstance(event, Scored)]
    seconds = sum(event.seconds_since(old) for old, event in scored if event.stage)
    asked = sum(event.asked.n if event.asked else event.n for _, event in scored if event.stage)
    shown = json.loads(run([sys.executable, "-m", "perdure.cli.main", "show", path, "--json"])[1])
    known = {name: value for name, value in shown["metrics"].items() if value is not None}
    return _Run(cpu, seconds / stages, asked / stages, changes(record, path), known)


def _curriculum(stages: int, seed: int, items: str) -> dict[str, Any]:
    def task(number: int) -> dict[str, Any]:
        source = {"type": "python", "path": "tests.bench.scorecard:rule", "args": {"number": number}}
        return source | {"train": 400, "heldout": HELDOUT}

    return {
        "model": {"model_name_or_path": "builtin:tiny", "threads": 1},
        "seed": seed,
        "budget": {"kl": 100.0, "enforce": "observe", "every": 10, "prompts": "task", "num_prompts": 16},
        "strategy": {"type": "fixed", "method": "sft"},
        "train": {"max_steps": STEPS, "learning_rate": 2e-4, "per_device_train_batch_size": 32},
        "stages": [{"name": f"rule{number}", "task": task(number)} for number in range(stages)],
        "benchmarks": [
            {"tasks": f"perdure_{name}", "name": name, "include_path": "builtin", "apply_chat_template": True}
            for name in ("spell", "largest")
        ],
        "evaluation": {"max_completion_length": 6, "items": items},
        "keep": "last",
    }


def _growth(asked: dict[int, float]) -> Figure:
    few, many = min(asked), max(asked)
    exponent = math.log(asked[many] / asked[few]) / math.log(many / few)
    return alone(
        f"growth of a stage's answers, {few} to {many} stages",
        Series((exponent,), "exponent"),
        Target("at most", 0.99, "exponent"),
    )


def _changed(whole: Sequence[_Run], part: Sequence[_Run]) -> Figure:
    shares = []
    for full, less in zip(whole, part, strict=True):
        assert full.tests.keys() == less.tests.keys()
        differ = [place for place in full.tests if _verdict(full.tests[place]) != _verdict(less.tests[place])]
        shares.append(100 * len(differ) / len(full.tests))
    return alone("cells whose verdict changed", Series(tuple(shares), "%"), Target("at most", 5, "%"))


def _verdict(change: Change) -> bool:
    return change.p_value is not None and change.p_value < 0.05


def _notes(pairs: Sequence[Sequence[_Run]], table: dict[int, list[_Run]]) -> list[str]:
    rows = "; ".join(
        f"{stages} stages {less.asked:,.0f} of {full.asked:,.0f} answers, {less.scoring:.1f} of {full.scoring:.1f} s"
        for stages, (full, less) in sorted(table.items())
    )
    exact = ("average_accuracy", "backward_transfer", "forward_transfer", "benchmark_drop")
    same = all(full.metrics[name] == less.metrics[name] for full, less in pairs for name in exact)
    best = ", ".join(
        f"{100 * full.metrics['forgetting']:.2f} and {100 * less.metrics['forgetting']:.2f}" for full, less in pairs
    )
    significant = ", ".join(f"{sum(map(_verdict, full.tests.values()))} of {len(full.tests)}" for full, _ in pairs)
    return [
        f"`builtin:tiny` learns {STAGES} rules for letters by sft, {STEPS} steps each, {HELDOUT} held-out items each; "
        "two benchmarks of 100 items. CPU seconds of whole runs, imports included. Answers grow with the stages to the "
        f"power of the exponent, 1 in full. A row of a stage takes, adaptive and in full: {rows}.",
        f"Significant in full: {significant} cells. Are final metrics but forgetting equal to the last bit? "
        f"{'Yes' if same else 'NO'}. Forgetting in full and adaptive: {best} points.",
    ]
