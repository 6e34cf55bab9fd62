"""Runs side by side: their figures, paired tests on the same items, and what differs between them. Imports no torch.

Only what can be compared is: the difference of two figures is left out, with the reason, where they are of different
bases, tasks, items, prompts or units.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from perdure.agent.run.events import Started
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.percent import in_percent, metric_in_percent
from perdure.agent.run.record import read_record
from perdure.agent.run.report import Change, change_of, metric_estimates, read_items
from perdure.agent.run.state import RunState, StageState
from perdure.budget.base_id import at_settings, short_id
from perdure.budget.errors import RunError
from perdure.eval.scorefile import Asked

FigureKind = Literal["task", "benchmark", "metric", "kl"]
OF_THE_BASE = ("forward_transfer", "benchmark_drop")
"""Metrics that are differences from the base."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs: what its journal says, and its last row that is done, or the base's."""

    path: Path
    title: str
    record: RunState
    begun: Started
    row: StageState

    @property
    def unit(self) -> tuple[str, str, str]:
        """What a KL is of: the base, whose prompts, and per what."""
        budget = self.begun.curriculum.get("budget") or {}
        return self.begun.base_id, self.record.prompts(str(budget.get("prompts"))), str(budget.get("unit"))

    @property
    def prompts(self) -> tuple[tuple[str, ...], str | None]:
        """The prompts of the KL after the row: the tasks whose own they are, and the generic probe."""
        counted, seen = self.unit[1], self.record.tasks[: self.row.stage]
        tasks = () if counted == "generic" else seen[-1:] if counted == "task" else tuple(sorted(seen))
        return tasks, self.begun.known_probe if counted in ("generic", "both") else ""

    def has_kl_of(self, other: "ComparedRun") -> bool:
        """True if a KL of both is of the same; a generic probe that is not known is not that of another run."""
        return self.unit == other.unit and self.prompts == other.prompts and self.prompts[1] is not None


@dataclass(frozen=True)
class Value:
    """A figure of one run with the ends of its interval, or `low` and `high` `None`; and the difference from the first.

    `reason` says why there is no difference; `asked` how much of a score was asked, where it was a part.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    change: Change | None = None
    difference: float | None = None
    reason: str | None = None
    asked: Asked | None = None


@dataclass(frozen=True)
class Figure:
    """One figure, a value a run; `percent`: of shares in all runs, which views show in per cent."""

    kind: FigureKind
    name: str
    values: tuple[Value, ...]
    percent: bool


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; `notes` say what limits it, `settings` what differs: a path, and its value in each run."""

    titles: tuple[str, ...]
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]
    settings: Mapping[str, tuple[Any, ...]]


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Two runs or more, each compared with the first, after the last stage of each.

    Raises:
        RunError: fewer than two; a run that cannot be read, or of which nothing is scored.
    """
    if len(folders) < 2:
        raise RunError("compare takes two runs or more: perdure compare RUN RUN")
    runs = [_read(folder, folders) for folder in folders]
    figures = (*_scores(runs), *_metrics(runs), *_kl(runs))
    return Comparison(tuple(run.title for run in runs), tuple(_notes(runs)), figures, _settings(runs))


def comparison_object(found: Comparison) -> dict[str, Any]:
    """The object that `perdure compare --json` prints."""
    return {**asdict(found), "settings": {path: list(values) for path, values in found.settings.items()}}


def _read(folder: Path, folders: Sequence[Path]) -> ComparedRun:
    record, events = read_record(RunFolder(folder))
    scored = [row for row in record.rows if row.scores and (row.stage == 0 or row.committed)]
    if not scored or not isinstance(events[0], Started):
        raise RunError(f"{folder}: nothing is scored yet, so there is nothing to compare")
    several = sum(other.name == folder.name for other in folders) > 1
    return ComparedRun(folder, str(folder) if several else folder.name, record, events[0], scored[-1])


def _notes(runs: Sequence[ComparedRun]) -> Iterator[str]:
    first = runs[0]
    for run in runs:
        if run.record.status != "finished":
            yield f"{run.title} is not finished: its figures are those after stage {run.row.stage} of {_stages(run)}"
        yield from _asked_in_part(run)
    for run in runs[1:]:
        if run.begun.base_id != first.begun.base_id:
            bases = " and ".join(_base(one) for one in (first, run))
            yield f"{run.title} began from another base than {first.title} ({bases}): changes since it are not compared"
        elif not run.has_kl_of(first):
            yield f"the KL of {run.title} is on other prompts or in another unit than that of {first.title}"
        for kind in ("tasks", "benchmarks"):
            here, there = getattr(run.record, kind), getattr(first.record, kind)
            only = sorted({*here} ^ {*there})
            if only:
                yield f"{run.title} and {first.title} have different {kind}: {', '.join(only)} in one of them alone"


def _asked_in_part(run: ComparedRun) -> Iterator[str]:
    for name, asked in run.row.asked.items():
        part = f"{asked.n} of {asked.of} items of {name}"
        yield f"{run.title} was asked {part}: its test is on the items that both runs were asked"


def _base(run: ComparedRun) -> str:
    """`org/small 3f2a41bc09de`."""
    return f"{run.begun.resolved.get('base', '')} {short_id(run.begun.base_id)}".strip()


def _stages(run: ComparedRun) -> int:
    return len(run.record.tasks)


def _scores(runs: Sequence[ComparedRun]) -> Iterator[Figure]:
    kinds: dict[FigureKind, list[str]] = {"task": [], "benchmark": []}
    for run in runs:
        kinds["task"] += run.record.tasks
        kinds["benchmark"] += run.record.benchmarks
    for kind, names in kinds.items():
        for name in dict.fromkeys(names):
            first = read_items(runs[0].row, name, runs[0].path)
            values = tuple(_score(run, name, None if run is runs[0] else (runs[0], first)) for run in runs)
            yield Figure(kind, name, values, all(in_percent(run.record, [name]) for run in runs))


def _score(run: ComparedRun, name: str, other: tuple[ComparedRun, Mapping[str, float | None] | None] | None) -> Value:
    """A score, and its difference from the `other` run's, whose items are given."""
    estimate, asked = run.row.scores.get(name), run.row.asked.get(name)
    if estimate is None:
        return Value(reason="not scored")
    if other is None:
        return Value(estimate.value, asked=asked)
    reason, items = None, read_items(run.row, name, run.path)
    if name not in other[0].row.scores:
        reason = f"not scored in {other[0].title}"
    elif items is None or other[1] is None:
        reason = "its score file is missing or damaged"
    elif items.keys() != other[1].keys():
        reason = f"other items than in {other[0].title}"
    if reason is not None or items is None or other[1] is None:
        return Value(estimate.value, reason=reason, asked=asked)
    change = change_of(other[1], items, by_member=name in run.row.by_member)
    return Value(estimate.value, change=change, difference=change.difference, asked=asked)


def _metrics(runs: Sequence[ComparedRun]) -> Iterator[Figure]:
    found = [metric_estimates(run.record, run.path) for run in runs]
    for name in found[0]:
        values = []
        for run, metrics in zip(runs, found, strict=True):
            one, of_first = metrics[name], found[0][name].value
            reason = None if run is runs[0] else _why_not(runs[0], run, name)
            difference = None
            if run is not runs[0] and reason is None and one.value is not None and of_first is not None:
                difference = one.value - of_first
            values.append(Value(one.value, one.low, one.high, difference=difference, reason=reason))
        yield Figure("metric", name, tuple(values), all(metric_in_percent(run.record, name) for run in runs))


def _why_not(first: ComparedRun, run: ComparedRun, metric: str) -> str | None:
    """Why a metric of two runs cannot be compared; `None`: it can."""
    kind = "benchmarks" if metric == "benchmark_drop" else "tasks"
    names = getattr(first.record, kind)
    if metric in OF_THE_BASE and run.begun.base_id != first.begun.base_id:
        return "another base"
    if names != getattr(run.record, kind):
        return f"other {kind}, or in another order"
    if run.row.stage != first.row.stage:
        return "after another number of stages"
    pairs = [(read_items(first.row, name, first.path), read_items(run.row, name, run.path)) for name in names]
    same = all(here is not None and there is not None and here.keys() == there.keys() for here, there in pairs)
    return None if same else "other items, or score files that are missing or damaged"


def _kl(runs: Sequence[ComparedRun]) -> Iterator[Figure]:
    """The KL that each run ended with, in the unit of its budget."""
    values: list[Value] = []
    for run in runs:
        reading = run.row.readings[-1] if run.row.readings else None
        kl = None if reading is None else reading.kl.value
        same = run is runs[0] or run.has_kl_of(runs[0])
        before = values[0].value if values else None
        difference = kl - before if kl is not None and before is not None and same else None
        values.append(Value(kl, difference=difference, reason=None if same else "another base, prompts or unit"))
    first = runs[0]
    at = at_settings(first.begun.base_id) if all(run.unit == first.unit for run in runs) else ""
    yield Figure("kl", f"KL, nats/{first.record.nouns.unit(first.unit[2])}{at}", tuple(values), percent=False)


def _settings(runs: Sequence[ComparedRun]) -> dict[str, tuple[Any, ...]]:
    """What differs in the curricula, and in the versions of the libraries."""
    flat = [{**dict(_flat(run.begun.curriculum, "")), **dict(_flat(run.begun.versions, "versions"))} for run in runs]
    paths = dict.fromkeys(path for one in flat for path in one if path.split("[")[0] != "tracking")
    found = {path: tuple(one.get(path) for one in flat) for path in paths}
    return {path: values for path, values in found.items() if any(value != values[0] for value in values)}


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(part, Mapping) for part in value):
        for index, part in enumerate(value):
            yield from _flat(part, f"{path}[{index}]")
    else:
        yield path, value
