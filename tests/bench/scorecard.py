"""A stream of many tasks, scored in full and as far as it takes: the time of the runs, and the verdicts that change."""

import json
import math
import resource
import sys
from collections.abc import Callable
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

STEPS = 10
RULES = ("parity", "at_least_five", "multiple_of_three", "prime", "label")
VARIANTS = ("none", "shifted", "noisy", "inverted")
LETTERS: tuple[Callable[[str], str], ...] = (
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
    """What to do with some letters, asked by a number; from 10 on in capitals, or the other way round."""
    rng, known = Random(f"{seed} {number}"), set[str]()
    while len(known) < train + heldout:
        known.add(" ".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(3, 5))))
    items = [_item(number, letters) for letters in sorted(known)]
    rng.shuffle(items)
    return Task(f"rule{number}", tuple(items[:train]), tuple(items[train:]))


def _item(number: int, letters: str) -> Item:
    done = LETTERS[number % len(LETTERS)](letters.replace(" ", ""))
    answer = done.swapcase() if number >= len(LETTERS) else done
    return Item([{"role": "user", "content": f"{number}: {letters}"}], answer=answer, demonstration=answer)


@dataclass(frozen=True)
class _Run:
    """CPU seconds of the process, seconds and answers of the scorecard of a stage, and the tests against the base."""

    cpu: float
    scoring: float
    asked: float
    tests: dict[tuple[int, str], Change]
    metrics: dict[str, float]


Make = Callable[[int], dict[str, Any]]
"""A stream of so many stages, as its file says it."""


def measure(_: Options) -> Report:
    """Runs of the same streams with `items: all` and `items: adaptive`, alternately."""
    with TemporaryDirectory() as scratch:
        found = [
            _stream(Path(scratch) / "letters", "letters", _letters, (5, 20)),
            _stream(Path(scratch) / "images", "images", _images, (5, 20)),
        ]
    figures = tuple(figure for figures, _notes in found for figure in figures)
    return Report(figures, (ABOUT, *(note for _figures, note in found)))


ABOUT = (
    f"Letters: `builtin:tiny` learns rules for letters by sft, {STEPS} steps each, 400 held-out items a task, and two "
    "benchmarks of 100. Images: a small classifier learns rules of labels by rl, 500 held-out images a task and of one "
    "benchmark. CPU seconds of whole runs, imports included. A stage's answers grow with the number of stages to the "
    "power of the exponent; in full it is 1, but for benchmarks."
)


def _stream(folder: Path, name: str, make: Make, sizes: tuple[int, int]) -> tuple[list[Figure], str]:
    folder.mkdir()
    table = {
        stages: [_run(folder, make(stages), stages, items) for items in ("all", "adaptive")]
        for stages in reversed(sizes)
    }
    few, many = sizes
    whole, part = table[many]
    exponent = math.log(part.asked / table[few][1].asked) / math.log(many / few)
    target = Target("at most", 0.55, "×")
    figures = [
        against(f"{name}: CPU time of {many} stages", _seconds(part), _seconds(whole), target),
        alone(
            f"{name}: growth, {few} to {many} stages",
            Series((exponent,), "exponent"),
            Target("at most", 0.99, "exponent"),
        ),
        _changed(name, whole, part),
    ]
    return figures, _note(name, table)


def _seconds(one: "_Run") -> Series:
    return Series((one.cpu,), "s")


def _run(folder: Path, curriculum: dict[str, Any], stages: int, items: str) -> _Run:
    path = folder / f"{stages}-{items}"
    file = path.with_suffix(".yaml")
    evaluation = curriculum["evaluation"] | {"items": items}
    file.write_text(json.dumps(curriculum | {"evaluation": evaluation}))  # JSON is YAML
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


def _letters(stages: int) -> dict[str, Any]:
    source = {"type": "python", "path": "tests.bench.scorecard:rule", "train": 400, "heldout": 400}
    return {
        "model": {"model_name_or_path": "builtin:tiny", "threads": 1},
        "budget": {"kl": 100.0, "enforce": "observe", "every": STEPS, "prompts": "task", "num_prompts": 16},
        "strategy": {"type": "fixed", "method": "sft"},
        "train": {"max_steps": STEPS, "learning_rate": 2e-4, "per_device_train_batch_size": 32},
        "stages": [{"name": f"rule{n}", "task": source | {"args": {"number": n}}} for n in range(stages)],
        "benchmarks": [
            {"tasks": f"perdure_{name}", "name": name, "include_path": "builtin", "apply_chat_template": True}
            for name in ("spell", "largest")
        ],
        "evaluation": {"max_completion_length": 6},
        "keep": "last",
    }


def _images(stages: int) -> dict[str, Any]:
    names = [(rule, variant) for variant in VARIANTS for rule in RULES][:stages]
    digits = {"type": "images", "images": "digits", "train": 320, "heldout": 500}
    clothes = {"type": "images", "images": "clothes", "rule": "label", "heldout": 500}
    return {
        "model": {"type": "mlp", "hidden_sizes": [128, 64], "seed": 0},
        "budget": {"kl": 100.0, "enforce": "observe", "every": STEPS, "prompts": "task", "num_prompts": 32},
        "strategy": {"type": "fixed", "method": "rl"},
        "train": {"max_steps": STEPS, "learning_rate": 3e-4, "per_device_train_batch_size": 32},
        "stages": [
            {"name": f"{rule}-{variant}", "task": digits | {"rule": rule, "variant": variant}}
            for rule, variant in names
        ],
        "benchmarks": [{"type": "task", "name": "clothes", "task": clothes}],
        "evaluation": {},
        "keep": "last",
    }


def _changed(name: str, whole: _Run, part: _Run) -> Figure:
    assert whole.tests.keys() == part.tests.keys()
    differ = [place for place in whole.tests if _verdict(whole.tests[place]) != _verdict(part.tests[place])]
    share = 100 * len(differ) / len(whole.tests)
    return alone(f"{name}: cells whose verdict changed", Series((share,), "%"), Target("at most", 5, "%"))


def _verdict(change: Change) -> bool:
    return change.p_value is not None and change.p_value < 0.05


def _note(name: str, table: dict[int, list[_Run]]) -> str:
    rows = "; ".join(
        f"{stages} stages {less.asked:,.0f} of {full.asked:,.0f} answers, {less.scoring:.1f} of {full.scoring:.1f} s"
        for stages, (full, less) in sorted(table.items())
    )
    full, less = table[max(table)]
    exact = ("average_accuracy", "backward_transfer", "forward_transfer", "benchmark_drop")
    same = "are" if all(full.metrics[metric] == less.metrics[metric] for metric in exact) else "are NOT"
    forgetting = " and ".join(f"{100 * one.metrics['forgetting']:.2f}" for one in (full, less))
    return (
        f"{name.capitalize()}: a scorecard takes, adaptive and in full, with {rows}. In full "
        f"{sum(map(_verdict, full.tests.values()))} of {len(full.tests)} cells are significant. Final metrics but "
        f"forgetting {same} equal; forgetting in full and adaptive is {forgetting} points."
    )
