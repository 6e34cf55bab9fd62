"""The results of a run, from its state and its per-item results. Imports no torch: `show` and `watch` use it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from perdure.agent.run.events import Intervened
from perdure.agent.run.lines import ABOUT_A_LINE, to_json
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.budget.price import StagePrice
from perdure.eval.metrics import FORMULAS, MetricEstimate, all_metrics, metrics_with_intervals
from perdure.eval.scorefile import read_item_scores
from perdure.eval.statistics import paired

Number = float | None
_Score = TypeVar("_Score", float, Number)


@dataclass(frozen=True)
class Change:
    """The change of one score since the base, on the same items; `None` where there are too few items."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def run_object(record: RunState, run_folder: Path | None = None) -> dict[str, Any]:
    """The object that `perdure show RUN --json` prints: plain values, `None` for what is not known.

    `refusal` says why a strict run was refused; `None` for every other. `edited` and `differs`: see `RunState`.
    Rows are the base (row 0) and the stages that are done. KL is the reading that the stage ended with; `kl_stderr` is
    that of the KL that the budget counts (`on_generic`: the generic probe's, as the larger one, in place of the
    tasks'), `budget` its cap and `kl_bound` what is held against it. `cap` is what the
    stage was allotted; like everything else that older journals lack, it is `None` there. `predicted_forgetting` is
    what a law expected at that reading, as fractions. `end_scores` are those at the ends of the line on which a stage
    was projected; `notices` are of data that the stage left out or learned nothing from, `truncated` of
    scores half of whose answers or more were cut off, `by_member` of groups whose score is the mean of their tasks',
    by which paired tests weigh their items, `asked` of scores of which a part of the items was asked alone: how many
    `n`, `of` all, and the 95 % interval of the change over all. `metrics` are defined by
    `formulas` (see `perdure.eval.metrics`; a run of which t stages are done counts as one of t stages) and
    `metric_intervals` are 95 % bootstrap intervals over items, from the files in `run_folder`; `None` without them.
    """
    rows = [row for row in record.rows if row.stage == 0 or row.committed]
    estimates = metric_estimates(record, run_folder)
    intervals = {name: _interval(estimate) for name, estimate in estimates.items()}
    return {
        "run": record.run,
        "status": record.status,
        "refusal": record.refusal or None,
        "edited": list(record.edited),
        "differs": list(record.differs),
        "tasks": list(record.tasks),
        "benchmarks": list(record.benchmarks),
        "prices": [_price(price) for price in record.prices],
        "rows": [_row(row) for row in rows],
        "metrics": {name: estimate.value for name, estimate in estimates.items()},
        "metric_intervals": intervals,
        "formulas": dict(FORMULAS),
        "weights_sha256": rows[-1].weights_sha256 if rows else None,
    }


def metric_estimates(record: RunState, run_folder: Path | None = None) -> dict[str, MetricEstimate]:
    """The metrics of the stages that are done, with intervals where the per-item files can be read."""
    rows = [row for row in record.rows if row.stage == 0 or row.committed]
    values = all_metrics(_matrix(rows, record.tasks, len(record.tasks)), _matrix(rows, record.benchmarks))
    if run_folder is None:
        return {name: MetricEstimate(value) for name, value in values.items()}
    bounds = metrics_with_intervals(
        _columns(rows, record.tasks, run_folder),
        _columns(rows, record.benchmarks, run_folder),
        in_part=_in_part(rows, record.tasks),
        benchmarks_in_part=_in_part(rows, record.benchmarks),
    )
    return {name: _agreed(value, bounds[name]) for name, value in values.items()}


def changes(record: RunState, run_folder: Path) -> dict[tuple[int, str], Change]:
    """Each score after each stage against the base, paired by item; keys are (stage, name).

    Items that one of the two was not asked or could not be scored on are left out of that pair. Scores whose per-item
    files are missing or belong to other items are left out altogether.
    """
    base = record.row(0)
    if base is None:
        return {}
    found: dict[tuple[int, str], Change] = {}
    for name in base.scores:
        before = read_items(base, name, run_folder)
        for row in record.rows:
            after = read_items(row, name, run_folder) if row.stage > 0 and name in row.scores else None
            if before is not None and after is not None and before.keys() == after.keys():
                found[row.stage, name] = change_of(before, after, by_member=name in row.by_member)
    return found


def change_of(before: Mapping[str, Number], after: Mapping[str, Number], *, by_member: bool = False) -> Change:
    """The change on the same items, by id; an item that either could not be scored on is left out.

    `by_member`: of a group whose tasks count alike, whose items are weighed so (`_weighed`).
    """
    known_before = {key: value for key, value in before.items() if value is not None and after[key] is not None}
    known_after = {key: value for key, value in after.items() if value is not None and key in known_before}
    if by_member:
        known_before, known_after = _weighed(known_before), _weighed(known_after)
    test = paired(known_before, known_after)
    return Change(test.difference, test.low, test.high, test.p_value, test.n)


def change_since(before: Estimate | None, after: Estimate | None, test: float | None) -> float | None:
    """The change of a score: that of a paired `test`, on the items of both, or else of the two figures, if known."""
    if test is not None and math.isfinite(test):
        return test
    return None if before is None or after is None else after.value - before.value


def read_items(row: StageState, name: str, run_folder: Path) -> Mapping[str, Number] | None:
    """Score of each item by id, in the file's order; `None` if the file is missing or damaged. A file is read once."""
    file = row.score_files.get(name)
    if file is None:
        return None
    path = run_folder / file
    try:
        found = path.stat()
    except OSError:
        return None
    return _items(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _items(path: Path, written: int, size: int) -> Mapping[str, Number] | None:
    return read_item_scores(path)


def damaged_scores(record: RunState, folder: Path) -> str | None:
    """The fault of a score file that cannot be read, or is of other items than the base's; `None`: there is none."""
    first = record.row(0)
    for name, of_base in () if first is None else first.score_files.items():
        base = read_items(record.rows[0], name, folder)
        for row in (one for one in record.rows if name in one.score_files):
            items = read_items(row, name, folder)
            if base is None or items is None:
                return f"{folder / (of_base if base is None else row.score_files[name])} is missing or damaged"
            if items.keys() != base.keys():
                return f"{folder / row.score_files[name]} holds other items than the base's"
    return None


def _matrix(rows: Iterable[StageState], names: tuple[str, ...], stages: int = 0) -> list[list[float]]:
    """Scores by stage and name, NaN where there is none; at least `stages` + 1 rows."""
    scores = {(row.stage, name): value.value for row in rows for name, value in row.scores.items()}
    height = max([stages, *(stage for stage, _ in scores)]) + 1
    return [[scores.get((stage, name), math.nan) for name in names] for stage in range(height)]


def _columns(
    rows: Iterable[StageState], names: tuple[str, ...], run_folder: Path
) -> dict[tuple[int, int], list[float]]:
    """Per-item scores by (stage, column from 1), aligned by item id; a column whose files disagree is left out.

    Of groups whose tasks count alike the items are weighed (`_weighed`).
    """
    columns: dict[tuple[int, int], list[float]] = {}
    listed = list(rows)
    for j, name in enumerate(names, 1):
        found = {row.stage: _counted(row, name, run_folder) for row in listed if name in row.scores}
        ids = {None if items is None else tuple(items) for items in found.values()}
        if len(ids) == 1 and None not in ids:
            for stage, items in found.items():
                columns[stage, j] = [math.nan if value is None else value for value in (items or {}).values()]
    return columns


def _counted(row: StageState, name: str, run_folder: Path) -> Mapping[str, Number] | None:
    items = read_items(row, name, run_folder)
    return _weighed(items) if items is not None and name in row.by_member else items


def _weighed(items: Mapping[str, _Score]) -> dict[str, _Score]:
    """The items of a group, `TASK/…`, each times n / (tasks x items of its task): their mean is that of its tasks.

    A bootstrap that draws them all together gives a wider interval than one that draws within each task.
    """
    sizes = Counter(key.split("/", 1)[0] for key, value in items.items() if value is not None)
    each = {task: sizes.total() / (len(sizes) * size) for task, size in sizes.items()}
    return {key: value if value is None else value * each[key.split("/", 1)[0]] for key, value in items.items()}


def _in_part(rows: Iterable[StageState], names: tuple[str, ...]) -> frozenset[tuple[int, int]]:
    """The (stage, column from 1) of the scores that were asked in part."""
    return frozenset((row.stage, j) for row in rows for j, name in enumerate(names, 1) if name in row.asked)


def _agreed(value: float | None, bounds: MetricEstimate) -> MetricEstimate:
    """The journal's figure with the interval of the files, if the files give the same figure."""
    if value is None or bounds.value is None or not math.isclose(value, bounds.value, abs_tol=1e-9):
        return MetricEstimate(value)
    return bounds


def _interval(estimate: MetricEstimate) -> list[float] | None:
    return None if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]


def _row(row: StageState) -> dict[str, Any]:
    reading = row.readings[-1] if row.readings else None
    counted = None if reading is None else reading.kl
    forecast = None if reading is None else reading.predicted_forgetting
    return {
        "stage": row.stage,
        "task": row.name if row.stage > 0 else None,
        "method": row.method,
        "reason": row.reason,
        "evidence": dict(row.evidence),
        "candidates": [asdict(candidate) for candidate in row.candidates],
        "share": _number(row.share),
        "cap": _number(row.cap),
        "kl_per_token": _number(reading.kl_per_token.value) if reading else None,
        "kl_per_sequence": _number(reading.kl_per_sequence.value) if reading else None,
        "kl_generic_per_token": _number_of(reading.kl_generic_per_token) if reading else None,
        "kl_generic_per_sequence": _number_of(reading.kl_generic_per_sequence) if reading else None,
        "on_generic": reading.on_generic if reading else None,
        "kl_stderr": _number(counted.stderr) if counted else None,
        "kl_bound": _number(reading.upper_bound) if reading else None,
        "budget": reading.cap if reading else None,
        "penalty_weight": _number(reading.penalty_weight) if reading else None,
        "interventions": [_intervention(event) for event in row.interventions],
        "notices": [{"notice": one.notice, "count": one.count, "of": one.of} for one in row.notices],
        "unscored": [
            {"task": event.task, "phase": event.phase, "answers": dict(event.answers)} for event in row.unscored
        ],
        "truncated": {name: {"count": event.truncated, "of": event.n} for name, event in row.truncated.items()},
        "by_member": list(row.by_member),
        "asked": {name: asdict(asked) for name, asked in row.asked.items()},
        "end_scores": {end: {name: _score(value) for name, value in found.items()} for end, found in row.ends.items()},
        "predicted_forgetting": asdict(forecast) if forecast else None,
        "scores": {name: _score(value) for name, value in row.scores.items()},
        "seconds": row.seconds,
    }


def _intervention(event: Intervened) -> dict[str, Any]:
    """All that the journal says of it but where and when."""
    return {name: value for name, value in to_json(event).items() if name not in (*ABOUT_A_LINE, "stage")}


def _price(price: StagePrice) -> dict[str, Any]:
    interval = price.floor_interval
    return {
        "stage": price.stage,
        "task": price.name,
        "base_rate": None if price.base_rate is None else _score(price.base_rate),
        "target": price.target,
        "floor": _number(price.floor),
        "floor_interval": None if interval is None else [_number(end) for end in interval],
        "need": _number(price.required_kl),
        "left": _number(price.remaining_kl),
        "fits": price.fits,
    }


def _score(value: Estimate) -> dict[str, Any]:
    return {"value": _number(value.value), "stderr": _number(value.stderr), "n": value.n}


def _number_of(found: Estimate | None) -> float | None:
    return None if found is None else _number(found.value)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
