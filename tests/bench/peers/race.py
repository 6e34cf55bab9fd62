"""A stream of three stages by perdure, and by TRL with lm-eval after each stage; CPU seconds, by turns."""

import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from perdure.agent.tasks import build_tasks
from perdure.curriculum.schema import Curriculum
from tests.bench.figures import Figure, Options, Report, Series, Target, UnmeasuredError, against
from tests.bench.material import bare_arguments, bare_rows
from tests.bench.processes import run

STEPS, REPEATS = 30, 2
TOKENS, BATCH = 12, 64
SKILLS = {"even": "even_number", "odd": "odd_number", "ending": "word_ending"}
BENCHMARKS = ("perdure_calendar", "perdure_largest", "perdure_letters", "perdure_spell")

Side = Literal["perdure", "simple", "command"]
PEERS: dict[Side, str] = {"simple": "TRL + `simple_evaluate`", "command": "TRL + `python -m lm_eval`"}
TARGETS: dict[tuple[str, Side], float] = {
    ("sft", "simple"): 0.85,
    ("rl", "simple"): 0.6,
    ("sft", "command"): 0.25,
    ("rl", "command"): 0.25,
}


@dataclass(frozen=True)
class Lap:
    """A whole command: CPU seconds of it and of what it started, wall seconds, and the scorecards, the base's first."""

    cpu: float
    wall: float
    cards: list[dict[str, float]]


def measure(_: Options) -> Report:
    """Both methods; the command line once for each, since a stream takes it minutes."""
    laps = {method: _laps(method) for method in ("sft", "rl")}
    figures = [_figure(method, peer, laps[method]) for method, peer in TARGETS]
    return Report(tuple(figures), (_note(), *(_scores(method, found) for method, found in laps.items())))


def _laps(method: str) -> dict[Side, list[Lap]]:
    found: dict[Side, list[Lap]] = {"perdure": [], "simple": [], "command": []}
    sides: list[Side] = ["perdure", "simple"] * REPEATS + ["command"]
    with TemporaryDirectory() as scratch:
        for number, side in enumerate(sides):
            folder = Path(scratch) / f"{number}-{side}"
            folder.mkdir()
            found[side].append(_lap(method, side, folder))
    bases = [lap.cards[0] for laps in found.values() for lap in laps]
    if any(base != bases[0] for base in bases):
        raise UnmeasuredError(f"the sides do not score the base alike: {bases}")
    return found


def _lap(method: str, side: Side, folder: Path) -> Lap:
    curriculum = stream(method)
    file = folder / "job.json"  # JSON is YAML
    if side == "perdure":
        file.write_text(json.dumps(curriculum))
        words = ["perdure.cli.main", "run", file, "--output-dir", folder / "run", "--plain"]
    else:
        file.write_text(json.dumps(_job(curriculum, method, side, folder)))
        words = ["tests.bench.peers.trl_stream", file]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, printed = run([sys.executable, "-m", *words])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cards = kept(folder / "run") if side == "perdure" else json.loads(printed.splitlines()[-1])
    return Lap(cpu, wall, cards)


def stream(method: str) -> dict[str, Any]:
    """Everything that the sides have in common, and for perdure its budget, which is never reached."""
    task = {"type": "python", "train": 400, "heldout": 100}
    skills = "perdure.curriculum.worlds.language.skills:"
    return {
        "model": {"model_name_or_path": "builtin:tiny", "device": "cpu", "dtype": "float32", "threads": 1},
        "budget": {"kl": 1e6},
        "strategy": {"type": "fixed", "method": method},
        "train": {
            "max_steps": STEPS,
            "learning_rate": 2e-4,
            "num_generations": 8,
            "max_completion_length": TOKENS,
            "per_device_train_batch_size": BATCH,
        },
        "stages": [{"name": name, "task": task | {"path": skills + path}} for name, path in SKILLS.items()],
        "benchmarks": [
            {"tasks": name, "name": name, "include_path": "builtin", "apply_chat_template": True} for name in BENCHMARKS
        ],
        "evaluation": {"max_completion_length": TOKENS, "batch_size": BATCH},
    }


def _job(curriculum: dict[str, Any], method: str, side: Side, folder: Path) -> dict[str, Any]:
    """The same stream as data, for a script that knows no perdure."""
    from perdure.agent.worlds.language.hub import resolve_path
    from perdure.eval.lm_eval.names import BUILTIN

    read = Curriculum.model_validate(curriculum)
    stages = [
        {
            "name": stage.name,
            "rows": bare_rows(task, method),
            "heldout": [{"prompt": one.prompt, "right": list(one.columns["right"])} for one in task.heldout],
        }
        for stage, task in zip(read.stages, build_tasks(read), strict=True)
    ]
    return {
        "method": method,
        "model": str(resolve_path("builtin:tiny")),
        "arguments": bare_arguments(read, method, folder / "trainer"),
        "stages": stages,
        "tasks": list(BENCHMARKS),
        "include_path": str(BUILTIN),
        "tokens": TOKENS,
        "scorecard": side,
        "folder": str(folder / "policies"),
    }


def kept(folder: Path) -> list[dict[str, float]]:
    """The scorecards of a run of perdure."""
    from perdure.agent.run.folder import RunFolder
    from perdure.agent.run.record import read_record

    record, _ = read_record(RunFolder(folder))
    if record.status != "finished":
        raise UnmeasuredError(f"the run did not end: {record.status}")
    return [{name: score.value for name, score in row.scores.items()} for row in record.rows]


def _figure(method: str, peer: Side, laps: dict[Side, list[Lap]]) -> Figure:
    theirs = [lap.cpu for lap in laps[peer]]
    ours = [lap.cpu for lap in laps["perdure"]][: len(theirs)]
    target = Target("at most", TARGETS[method, peer], "×")
    return against(f"{method}, {PEERS[peer]}", Series(tuple(ours), "s"), Series(tuple(theirs), "s"), target)


def _note() -> str:
    return (
        f"CPU seconds, user and system, of whole commands and all that they start: three stages of {STEPS} steps of "
        f"`builtin:tiny` ({', '.join(SKILLS)}), before the first and after each the three tasks' 100 held-out items "
        f"and {len(BENCHMARKS)} benchmarks of 100 items. Both sides have the same data, steps, batches, learning rate "
        "and answers a prompt, and save a policy a stage. perdure also measures the KL and writes a score an item. "
        "A longer stream has a smaller part of start-up."
    )


def _scores(method: str, laps: dict[Side, list[Lap]]) -> str:
    """Wall seconds, and the mean of the last scorecard, by which the sides learned the same."""
    parts = []
    for side, found in laps.items():
        wall = Series(tuple(lap.wall for lap in found), "s")
        scores = found[0].cards[-1].values()
        parts.append(f"{PEERS.get(side, 'perdure')} {wall}, last scores on average {sum(scores) / len(scores):.3f}")
    return f"Wall time with {method}: {'; '.join(parts)}."
