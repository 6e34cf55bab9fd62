"""The points of a run folder, one per finished stage, from its journal."""

from pathlib import Path

from perdure.agent.law_data.source import TRAINING_PROMPTS, LawPoint, LawSource, Provenance, unknown_probe
from perdure.agent.run.events import Started
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.run.state import RunState, StageState
from perdure.budget.errors import RunError

JOURNAL = "journal.jsonl"


def is_run(path: Path) -> bool:
    """True for a run folder, even without a journal."""
    return (path / JOURNAL).is_file() or (path / "run.json").is_file()


def run_source(path: Path) -> LawSource:
    """One point per finished stage, with the last reading of the stage; KL in nats per token.

    Forgetting is the mean drop of the benchmarks from the base, accuracy the score on the stage's own task.

    Raises:
        RunError: the journal cannot be read, or the run has no benchmarks.
    """
    record, events = read_record(RunFolder(path)) if (path / JOURNAL).exists() else (RunState(), [])
    started = events[0] if events else None
    provenance = Provenance("", "", "token", "", ())
    points: tuple[LawPoint, ...] = ()
    if isinstance(started, Started):
        provenance = _provenance(path, record, started)
        seed = str(started.curriculum.get("seed", ""))
        points = tuple(_point(path, record, row, seed) for row in record.done if row.readings)
    return LawSource(path, provenance, points, () if points else (f"{path}: no stage is finished yet",))


def _provenance(path: Path, record: RunState, started: Started) -> Provenance:
    if not record.benchmarks:
        raise RunError(
            f"{path} has no benchmarks, so there is no forgetting to fit a law to: name some under `benchmarks` in the "
            "curriculum and run it again"
        )
    if not started.base_id:
        raise RunError(f"{path / JOURNAL} does not say which base the run began with; it cannot be pooled")
    prompts = record.prompts_of_tasks(started.curriculum.get("budget", {}).get("prompts", "seen"))
    known = {name: started.data[name] for name in record.benchmarks if name in started.data}
    about = (started.world, started.base_id, "token", prompts, record.benchmarks, TRAINING_PROMPTS, known)
    probe = started.known_probe
    return Provenance(*about, _model(started), unknown_probe(path) if probe is None else probe)


def _model(started: Started) -> str:
    """The name of a model, or the kind of one that the world makes itself."""
    model = started.curriculum.get("model", {})
    return str(model.get("model_name_or_path") or model.get("type") or "")


def _point(path: Path, record: RunState, row: StageState, seed: str) -> LawPoint:
    reading = row.readings[-1]
    accuracy = row.scores.get(row.name)
    return LawPoint(
        run=str(path),
        method=row.method or "none",
        forgetting=record.measured_drop(row, record.benchmarks),
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
