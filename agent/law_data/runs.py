"""The points of a run folder: one a stage that is done, from its journal."""

from pathlib import Path
from typing import Any

from perdure.agent.law_data.source import TRAINING, Origin, Point, Source
from perdure.agent.run.journal import Event, read_journal
from perdure.agent.run.record import Record, Row, read_record
from perdure.budget.errors import RunError
from perdure.curriculum.worlds.registry import default_world

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
    record, started = _read(path / JOURNAL)
    origin = Origin("", "", "token", "", ())
    rows: tuple[Point, ...] = ()
    if started is not None:
        origin = _origin(path, record, started)
        done = [row for row in record.rows if row.stage > 0 and row.committed and row.readings]
        seed = _seed(started)
        rows = tuple(_point(path, record, row, seed) for row in done)
    return Source(path, origin, rows, () if rows else (f"{path}: no stage is done yet",))


def _read(journal: Path) -> tuple[Record, Event | None]:
    """The record and the event that began it; nothing of a run that has written nothing yet."""
    try:
        events = list(read_journal(journal)) if journal.exists() else []
        record = read_record(events)
        return record, next((event for event in events if event["event"] == "started"), None)
    except OSError as error:
        raise RunError(f"cannot read {journal}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{journal} is damaged or of another version: {error!r}") from error


def _origin(path: Path, record: Record, started: Event) -> Origin:
    """A journal without `world` and `base_id` is of the language world, and its base is known by its weights."""
    if not record.benchmarks:
        raise RunError(
            f"{path} has no benchmarks, so there is no forgetting to fit a law to: name some under `benchmarks` in the "
            "curriculum, and run it again"
        )
    base = started.get("base_id", started.get("base_sha256"))
    if not isinstance(base, str):
        raise RunError(f"{path / JOURNAL} does not say which base the run began with; it cannot be pooled")
    prompts = record.prompts(_budget(started).get("prompts", "seen"))
    data = started.get("data", {})
    world = started.get("world", default_world().name)
    known = {name: data[name] for name in record.benchmarks if name in data}
    return Origin(world, base, "token", prompts, record.benchmarks, TRAINING, known)


def _seed(started: Event) -> str:
    seed = started.get("curriculum", {}).get("seed")
    return "" if seed is None else str(seed)


def _budget(started: Event) -> dict[str, Any]:
    budget = started.get("curriculum", {}).get("budget", {})
    return budget if isinstance(budget, dict) else {}


def _point(path: Path, record: Record, row: Row, seed: str) -> Point:
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


def _base_score(record: Record) -> float | None:
    base = record.row(0)
    if base is None or not all(name in base.scores for name in record.benchmarks):
        return None
    return sum(base.scores[name].value for name in record.benchmarks) / len(record.benchmarks)
