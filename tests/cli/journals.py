"""Realistic journals to draw: a run of three stages with a rollback, a NaN, thin data and a resumed process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perdure.agent.run.steps import FIGURES, LINES, TABLE, StepRecord
from perdure.budget.files import sha256_of
from perdure.eval.scorefile import ItemResult, make_score, write_scores

Line = dict[str, Any]
"""An event as a line of a journal has it."""

START = 1_760_000_000.0
CAP = 0.5
N = 100
TASKS = ("even", "sort", "chain")
BENCHMARKS = ("arith", "copy")
SCORES = {
    0: (0.21, 0.45, 0.0, 0.88, 0.97),
    1: (0.72, 0.46, 0.0, 0.86, 0.97),
    2: (0.70, 0.81, 0.02, 0.72, 0.95),
    3: (0.68, 0.74, 0.55, 0.71, 0.94),
}
METHODS = {1: "rl", 2: "sft", 3: "chord"}
REASONS = {
    1: "pass@8 0.62, 100 % of the budget left",
    2: "pass@8 0.91 but 88 % of the budget spent",
    3: "pass@8 0.00, no success to reinforce",
}


def estimate(value: float, stderr: float | None = 0.01, n: int = 32) -> dict[str, Any]:
    return {"value": value, "stderr": stderr, "n": n}


class Clock:
    """Time that moves on by two seconds an event."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self, event: str, /, **fields: Any) -> Line:
        self.now += 2
        return {"event": event, "time": self.now, **fields}


def reading(at: Clock, stage: int, step: int, kl: float, entry: bool = False, final: bool = False) -> Line:
    token, sequence = estimate(kl), estimate(kl * 20, 0.2)
    fields = {"cap": CAP, "unit": "token", "within": kl <= CAP, "entry": entry, "final": final}
    return at("reading", stage=stage, step=step, kl_per_token=token, kl_per_sequence=sequence, **fields)


def scores(at: Clock, stage: int, values: tuple[float, ...], names: tuple[tuple[str, str], ...]) -> list[Line]:
    return [
        at(
            "score",
            stage=stage,
            name=name,
            kind=kind,
            value=value,
            stderr=0.04,
            n=N,
            file=f"scores/{stage}-{name}.jsonl",
        )
        for (name, kind), value in zip(names, values, strict=True)
    ]


def commit(at: Clock, stage: int, name: str, method: str | None, steps: int = 60) -> Line:
    digest = f"{stage:x}" * 64
    return at("commit", stage=stage, name=name, method=method, steps=steps, seconds=41.5, weights_sha256=digest)


def decision(at: Clock, stage: int, name: str, method: str, reason: str) -> Line:
    evidence = {"pass@8": estimate(0.62, 0.05), "demonstrations": True, "budget_left": 1.0}
    return at("decision", stage=stage, name=name, method=method, reason=reason, evidence=evidence)


def whole_run() -> list[Line]:
    """A whole run: stage 1 uninterrupted, stage 2 rolled back and interrupted, stage 3 broken by a NaN."""
    at = Clock()
    names = (*((name, "task") for name in TASKS), *((name, "benchmark") for name in BENCHMARKS))
    events = [at("started", run="demo", tasks=list(TASKS), benchmarks=list(BENCHMARKS))]
    events += [*scores(at, 0, SCORES[0], names), commit(at, 0, "base", None, 0)]
    for stage, task in enumerate(TASKS, 1):
        events += [decision(at, stage, task, METHODS[stage], REASONS[stage])]
        events += [reading(at, stage, 0, 0.1 * (stage - 1), entry=True)]
        events += [reading(at, stage, step, 0.1 * (stage - 1) + 0.004 * step) for step in (20, 40)]
        events += ending(at, stage)
        events += [*scores(at, stage, SCORES[stage], names), commit(at, stage, task, METHODS[stage])]
    return [*events, at("finished", seconds=171.2)]


def ending(at: Clock, stage: int) -> list[Line]:
    """How each stage of `whole_run` ends: well; killed, resumed and rolled back; broken."""
    if stage == 1:
        return [reading(at, 1, 60, 0.213, final=True)]
    if stage == 2:
        why = "KL 0.610 above the cap 0.5 nats a token"
        again = [at("interrupted"), at("resumed"), reading(at, 2, 40, 0.26), reading(at, 2, 60, 0.61)]
        return [*again, intervention(at, 2, "rollback", why, "step 40"), reading(at, 2, 40, 0.26, final=True)]
    why = "the loss became nan at step 57"
    broken = [reading(at, 3, 57, float("nan")), intervention(at, 3, "broken", why, "step 40")]
    return [*broken, reading(at, 3, 40, 0.36, final=True)]


def intervention(at: Clock, stage: int, action: str, reason: str, target: str) -> Line:
    return at("intervention", stage=stage, step=40, action=action, reason=reason, target=target)


def long_run(stages: int, benchmarks: int = 6, name: str = "reasoning_gym_task_") -> list[Line]:
    """Many stages and many columns."""
    at = Clock()
    tasks = tuple(f"{name}{stage}" for stage in range(1, stages + 1))
    marks = tuple(f"hellaswag_{mark}" for mark in range(benchmarks))
    names = (*((task, "task") for task in tasks), *((mark, "benchmark") for mark in marks))
    events = [at("started", run="long", tasks=list(tasks), benchmarks=list(marks))]
    for stage in range(stages + 1):
        values = tuple((17 * stage + 31 * column) % 101 / 100 for column in range(len(names)))
        if stage:
            events += [decision(at, stage, tasks[stage - 1], "sft", "fixed"), reading(at, stage, 20, 0.005 * stage)]
        events += [*scores(at, stage, values, names), commit(at, stage, tasks[stage - 1] if stage else "base", None)]
    return events


def progress(stage: int = 2, phase: str = "training", step: int = 12, **fields: Any) -> dict[str, Any]:
    """A progress file of the loop."""
    usual = {"stage": stage, "name": TASKS[stage - 1] if 0 < stage <= 3 else "base", "method": "sft", "phase": phase}
    curves = {"loss": [2.5, 2.1, 1.8, 1.2, 0.9], "reward": [0.1, 0.2, 0.4, 0.5, 0.7], "detail": ""}
    times = {"stage_started": START, "stages": 3, "pid": 1, "time": START + step}
    return {**usual, "step": step, "max_steps": 100, **curves, **times, **fields}


def write_steps(run: Path, stage: int, steps: Sequence[Mapping[str, float]], before: int = 0) -> Path:
    """The record of a committed stage's steps in a run folder, each with the figures that are given."""
    folder = run / "stages" / f"{stage:02d}-task-{stage}"
    folder.mkdir(parents=True)
    record = StepRecord(folder, stage, f"task-{stage}", before, lambda: START)
    for step, figures in enumerate(steps, 1):
        record.add(step, dict.fromkeys(FIGURES) | dict(figures))
    record.close(len(steps))
    (folder / LINES).unlink()
    (folder / "stage.json").write_text(json.dumps({"files": {TABLE: sha256_of(folder / TABLE)}}))
    return folder / TABLE


def write_run(folder: Path, events: Sequence[Line]) -> Path:
    """A run folder with a journal and per-item results: of 100 items the first `100 * value` are right.

    So an item that is right after a change of d points stays right: McNemar's test sees |d| items of one kind and
    none of the other, p = min(1, 2 / 2^|d|), which is below 0.05 from |d| = 6 on.
    """
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for event in events:
        if event["event"] == "score":
            items = [ItemResult(str(i), float(i < round(event["value"] * N))) for i in range(N)]
            write_scores(folder / event["file"], make_score(event["name"], event["kind"], items), {}, items)
    return folder
