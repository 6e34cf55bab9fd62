"""What a life in a run folder comes to, as rows of a sweep: one a stage. Read from its journal."""

import math
from pathlib import Path
from typing import Any

from perdure.agent.run.events import Started
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, StageState, read_state
from perdure.agent.sweep.contract import Finished
from perdure.agent.sweep.figures import life_figures
from perdure.curriculum.sweeps.reader import Cell


def finished_life(cell: Cell, run: Path) -> Finished:
    """The rows of a life that is over; the last stage's is `final`.

    Forgetting is the mean drop of the benchmarks since the base, NaN without benchmarks. KL and the other divergences
    are nats a token (or fractions), by the reading that the stage ended with. What a life does not measure is left out.
    The last row also holds what the whole life came to (`perdure.agent.sweep.figures`).
    """
    events = list(read_journal(run / "journal.jsonl"))
    record, started = read_state(events), events[0]
    assert isinstance(started, Started)
    stages = [row for row in record.rows if row.stage > 0 and row.committed]
    rows = [_row(cell, record, stage, final=stage is stages[-1]) for stage in stages]
    rows[-1] |= life_figures(record, cell.curriculum)
    return Finished(cell, tuple(rows), _origin(cell, record, started))


def _origin(cell: Cell, record: RunState, started: Started) -> dict[str, Any]:
    return {
        "world": started.world,
        "base_id": started.base_id,
        "unit": "token",
        "prompts": record.prompts(cell.curriculum.budget.prompts),
        "benchmarks": list(record.benchmarks),
        "benchmark_fingerprints": {name: told for name, told in started.data.items() if name in record.benchmarks},
    }


def _row(cell: Cell, record: RunState, stage: StageState, *, final: bool) -> dict[str, Any]:
    drop = record.drop(stage, record.benchmarks)
    base = record.row(0)
    assert base is not None
    return {
        "method": cell.arm or stage.method or "none",
        "stage": stage.stage,
        "task": stage.name,
        "step": stage.steps,
        "steps": stage.steps,
        "final": final,
        "accuracy": stage.scores[stage.name].value,
        "forgetting": math.nan if drop is None else drop,
        **{f"score.{name}": stage.scores[name].value for name in record.benchmarks},
        **{f"base_score.{name}": base.scores[name].value for name in record.benchmarks},
        **stage.readings[-1].predictors,
        "seconds": math.nan if stage.seconds is None else stage.seconds,
    }
