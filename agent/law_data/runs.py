"""The points of a run folder: one a stage that is done, from its journal."""

from pathlib import Path

from perdure.agent.law_data.source import TRAINING, Origin, Point, Source
from perdure.agent.run.events import Started
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, StageState, read_state
from perdure.budget.errors import RunError

JOURNAL = "journal.jsonl"


def is_run(path: Path) -> bool:
    """Whether a run folder is there, be it one that has written nothing yet."""
    return (path / JOURNAL).is_file() or (path / "run.json").is_file()


def run_source(path: Path) -> Source:
    """One point a stage that is done, by the reading that the stage ended with; KL is in nats a token.

    Forgetting is the mean drop of the benchmarks since the base, accuracy the score on the stage's own task.

    Raises:
        RunError: the journal cannot be read, or the run has no benchmarks.
    """
    events = list(read_journal(path / JOURNAL)) if (path / JOURNAL).exists() else []
    record, started = read_state(events), next((event for event in events if isinstance(event, Started)), None)
    origin = Origin("", "", "token", "", ())
    rows: tuple[Point, ...] = ()
    if started is not None:
        origin = _origin(path, record, started)
        done = [row for row in record.rows if row.stage > 0 and row.committed and row.readings]
        seed = str(started.curriculum.get("seed", ""))
        rows = tuple(_point(path, record, row, seed) for row in done)
    return Source(path, origin, rows, () if rows else (f"{path}: no stage is done yet",))


def _origin(path: Path, record: RunState, started: Started) -> Origin:
    if not record.benchmarks:
        raise RunError(
            f"{path} has no benchmarks, so there is no forgetting to fit a law to: name some under `benchmarks` in the "
            "curriculum, and run it again"
        )
    if not started.base_id:
        raise RunError(f"{path / JOURNAL} does not say which base the run began with; it cannot be pooled")
    prompts = record.prompts(started.curriculum.get("budget", {}).get("prompts", "seen"))
    known = {name: started.data[name] for name in record.benchmarks if name in started.data}
    return Origin(started.world, started.base_id, "token", prompts, record.benchmarks, TRAINING, known)


def _point(path: Path, record: RunState, row: StageState, seed: str) -> Point:
    reading = row.readings[-1]
    accuracy = row.scores.get(row.name)
    return Point(
        run=str(path),
        method=row.method or "none",
        forgetting=record.drop(row, record.benchmarks),
        accuracy=None if accuracy is None else accuracy.value,
        base_score=_base_score(record),
        seed=seed,
        predictors=reading.predictors,
    )


def _base_score(record: RunState) -> float | None:
    base = record.row(0)
    if base is None or not all(name in base.scores for name in record.benchmarks):
        return None
    return sum(base.scores[name].value for name in record.benchmarks) / len(record.benchmarks)
