"""Records what runs come to, to the last digit, so that a change of the code can be shown to change no result.

    python -m tests.bench.unmoved record before.json      # with the old code
    python -m tests.bench.unmoved compare before.json     # with the new code, on the same machine

Each cell is one `perdure run`; of its journal the decisions, the readings, the scores and the hashes of the weights
are kept. `--perdure` names the program, `--only` the cells whose names begin so, `--workers` how many run at a time.
`tests/agent/test_unmoved.py` compares a few cells of the vision world, to a few digits, at every test.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

STREAMS = (
    *("demo", "parity-mnist", "parity-mnist-task", "stream-gym", "stream-hard", "stream-labels", "stream-rules"),
    *("tiny-mixed", "tiny-new", "tiny-sayings"),
)
SFT_LIKE = ("sft", "eaft", "sft_kl", "low_lr_sft", "replay", "ewc", "l2", "lora")
LANGUAGE = (*SFT_LIKE, "rl", "chord", "gate", "tilt", "sdft", "rl_kl")
VISION = (*SFT_LIKE, "rl", "chord", "gate", "tilt", "rl_kl", "reinforce", "simpo")
CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
BUDGET = "budget={kl: 0.05, prompts: seen, num_prompts: 16, every: 3, enforce: [%s]}"
FEW_TEXTS = ("benchmarks=[]", "stages.0.task.heldout=20", "stages.1.task.heldout=20")
SHORT_TEXTS = "budget.max_completion_length=12"
PROBE = "strategy={type: %s, num_prompts: 16, k: 4, candidates: [sft, rl_kl, low_lr_sft, tilt]}"


@dataclass(frozen=True)
class Cell:
    """One run: a shipped curriculum and what is set in it."""

    name: str
    curriculum: str
    settings: tuple[str, ...] = ()


def cells() -> Iterator[Cell]:
    """Every shipped stream, and every method, enforcement and strategy for a few steps in both worlds."""
    for stream in STREAMS:
        yield Cell(f"stream/{stream}", stream)
    for method in LANGUAGE:
        yield _text(f"language/{method}", f"strategy={{type: fixed, method: {method}}}")
    for method in VISION:
        yield _images(f"vision/{method}", f"strategy={{type: fixed, method: {method}}}")
    for method in ("sft", "rl_kl", "tilt", "ewc"):
        yield _text(f"adapter/{method}", f"strategy={{type: fixed, method: {method}}}", "model.lora={r: 4}")
    for method in ("sft", "chord", "replay"):
        fixed = f"strategy={{type: fixed, method: {method}}}"
        for enforce in ("penalty, project", "penalty, rollback", "stop"):
            yield _text(f"language/{method}/{enforce}", fixed, BUDGET % enforce, SHORT_TEXTS)
            yield _images(f"vision/{method}/{enforce}", fixed, BUDGET % enforce)
    recover, sft = BUDGET % "recover", "strategy={type: fixed, method: sft}"
    yield _text("language/recover", sft, recover, SHORT_TEXTS, "budget.generic='builtin:skills'")
    yield _images("vision/recover", sft, recover)
    for strategy in ("probe", "bandit"):
        yield Cell(f"vision/{strategy}", "stream-rules", (PROBE % strategy,))
        yield Cell(f"language/{strategy}", "tiny-new", (*FEW_TEXTS, PROBE % strategy))


def _text(name: str, *settings: str) -> Cell:
    return Cell(name, "tiny-new", (*FEW_TEXTS, "train.max_steps=6", "budget.kl=100", *settings))


def _images(name: str, *settings: str) -> Cell:
    return Cell(name, "stream-rules", ("train.max_steps=12", "budget.kl=100", *settings))


def figures(journal: Path) -> list[Any]:
    """What a run came to, in the order of its journal."""
    found: list[Any] = []
    for line in journal.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        match event["event"]:
            case "decision":
                found.append([event["stage"], "decision", event["method"]])
            case "reading":
                kinds = {name: value for name, value in event.items() if name.startswith(("kl_", "total", "l2_"))}
                found.append([event["stage"], "reading", event["step"], event["cap"], kinds])
            case "score":
                found.append([event["stage"], "score", event["name"], event["value"], event["stderr"]])
            case "commit":
                found.append([event["stage"], "commit", event["steps"], event["weights_sha256"]])
    return found


def live(cell: Cell, perdure: str) -> list[Any]:
    """Run one cell in a folder that is removed afterwards."""
    with TemporaryDirectory() as folder:
        sets = [word for setting in cell.settings for word in ("--set", setting)]
        command = [perdure, "run", cell.curriculum, "--output-dir", f"{folder}/run", "--plain", *sets]
        done = subprocess.run(command, check=False, **CAPTURED)
        if done.returncode:
            return [f"exit code {done.returncode}", done.stderr[-2000:]]
        return figures(Path(folder, "run", "journal.jsonl"))


def all_figures(chosen: Sequence[Cell], perdure: str, workers: int) -> dict[str, list[Any]]:
    """The figures of every chosen cell, by name."""
    with ThreadPoolExecutor(workers) as pool:
        found: dict[str, list[Any]] = {}
        for cell, mine in zip(chosen, pool.map(lambda one: live(one, perdure), chosen), strict=True):
            print(f"{cell.name}: {mine[-1]}", flush=True)
            found[cell.name] = mine
        return found


def difference(before: Mapping[str, list[Any]], now: Mapping[str, list[Any]]) -> list[str]:
    """The cells that came out otherwise, with the first figure that differs."""
    lines = []
    for name, mine in now.items():
        if name not in before:
            lines.append(f"{name}: not recorded before")
        elif mine != before[name]:
            pairs = zip([*before[name], None], [*mine, None], strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), (before[name][-1], mine[-1]))
            lines.append(f"{name}: was {first[0]}, is {first[1]}")
    return lines


def main() -> int:
    """Record or compare; the exit code is 1 where anything differs."""
    parser = ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--perdure", default=str(Path(sys.executable).with_name("perdure")))
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    chosen = [cell for cell in cells() if not given.only or cell.name.startswith(tuple(given.only))]
    found = all_figures(chosen, given.perdure, given.workers)
    if given.what == "record":
        given.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    lines = difference(json.loads(given.file.read_text(encoding="utf-8")), found)
    print(*lines, f"{len(found) - len(lines)} of {len(found)} cells equal", sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
