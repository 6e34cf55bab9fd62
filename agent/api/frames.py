"""A run's record as pandas frames: the columns of each and their dtypes, the same for a run of which nothing is done.

Scores and changes are fractions, KLs are in nats, times in seconds. What is not known is NaN, or missing text.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.agent.run.answers import ColumnAnswers
from perdure.agent.run.events import Candidate, Measured
from perdure.agent.run.report import Change, change_since, changes
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate

if TYPE_CHECKING:
    from pandas import DataFrame

SCORES = {
    "stage": "int64",
    "stage_name": "str",
    "name": "str",
    "kind": "str",
    "value": "float64",
    "stderr": "float64",
    "n": "int64",
    "of": "int64",
    "change": "float64",
    "change_low": "float64",
    "change_high": "float64",
    "p_value": "float64",
}
READINGS = {
    "stage": "int64",
    "stage_name": "str",
    "step": "int64",
    "entry": "bool",
    "final": "bool",
    "kl_per_token": "float64",
    "kl_per_token_stderr": "float64",
    "kl_per_sequence": "float64",
    "kl_per_sequence_stderr": "float64",
    "kl_policy_to_base_per_token": "float64",
    "total_variation_per_token": "float64",
    "l2_distributions_per_token": "float64",
    "jensen_shannon_per_token": "float64",
    "hellinger_per_token": "float64",
    "kl_median": "float64",
    "kl_q90": "float64",
    "kl_generic_per_token": "float64",
    "kl_generic_per_token_stderr": "float64",
    "kl_generic_per_sequence": "float64",
    "kl_generic_per_sequence_stderr": "float64",
    "on_generic": "bool",
    "unit": "str",
    "cap": "float64",
    "upper_bound": "float64",
    "within": "bool",
    "penalty_weight": "float64",
    "predicted_forgetting": "float64",
}
DECISIONS = {
    "stage": "int64",
    "stage_name": "str",
    "candidate": "str",
    "chosen": "bool",
    "reason": "str",
    "cap": "float64",
    "share": "float64",
    "steps_spent": "int64",
    "evidence": "object",
    "figures": "object",
}
ANSWERS = {
    "stage": "int64",
    "name": "str",
    "item": "str",
    "outcome": "str",
    "base_score": "float64",
    "score": "float64",
    "prompt": "str",
    "expected": "str",
    "base": "str",
    "answer": "str",
}


def scores_frame(record: RunState, folder: Path) -> "DataFrame":
    """One row a score: see `perdure.Run.scores`."""
    tests = changes(record, folder)
    return _frame(
        (_score(record, row, name, tests.get((row.stage, name))) for row in record.rows for name in row.scores), SCORES
    )


def readings_frame(record: RunState) -> "DataFrame":
    """One row a reading: see `perdure.Run.readings`."""
    return _frame((_reading(row, one) for row in record.rows for one in row.readings), READINGS)


def decisions_frame(record: RunState) -> "DataFrame":
    """One row a candidate: see `perdure.Run.decisions`."""
    return _frame((_decision(row, one) for row in record.rows if row.method for one in _considered(row)), DECISIONS)


def answers_frame(stage: int, columns: Iterable[ColumnAnswers]) -> "DataFrame":
    """One row an item: see `perdure.Run.answers`."""
    return _frame(
        (
            {name: getattr(item, name) for name in ANSWERS if hasattr(item, name)}
            | {"stage": stage, "name": column.name, "item": item.id}
            for column in columns
            for item in column.items
        ),
        ANSWERS,
    )


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> "DataFrame":
    from pandas import DataFrame

    return DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


def _score(record: RunState, row: StageState, name: str, test: Change | None) -> dict[str, Any]:
    score, base = row.scores[name], record.row(0)
    before = base.scores.get(name) if base is not None and row.stage > 0 else None
    return {
        "stage": row.stage,
        "stage_name": _name(row),
        "name": name,
        "kind": "task" if name in record.tasks else "benchmark",
        "value": score.value,
        "stderr": score.stderr,
        "n": score.n,
        "of": row.asked[name].of if name in row.asked else score.n,
        "change": change_since(before, score, None if test is None else test.difference),
        "change_low": None if test is None else test.low,
        "change_high": None if test is None else test.high,
        "p_value": None if test is None else test.p_value,
    }


def _reading(row: StageState, one: Measured) -> dict[str, Any]:
    forecast = one.predicted_forgetting
    return {
        "stage": row.stage,
        "stage_name": _name(row),
        "kl_per_token": one.kl_per_token.value,
        "kl_per_token_stderr": one.kl_per_token.stderr,
        "kl_per_sequence": one.kl_per_sequence.value,
        "kl_per_sequence_stderr": one.kl_per_sequence.stderr,
        **{name: _known(getattr(one, name)) for name in OTHER_DIVERGENCES},
        **_estimate("kl_generic_per_token", one.kl_generic_per_token),
        **_estimate("kl_generic_per_sequence", one.kl_generic_per_sequence),
        **{name: getattr(one, name) for name in AS_READ},
        "predicted_forgetting": None if forecast is None else forecast.value,
    }


OTHER_DIVERGENCES = tuple(
    f"{name}_per_token"
    for name in ("kl_policy_to_base", "total_variation", "l2_distributions", "jensen_shannon", "hellinger")
)
AS_READ = (
    *("step", "entry", "final", "unit", "cap", "upper_bound", "within", "penalty_weight", "kl_median", "kl_q90"),
    "on_generic",
)


def _estimate(name: str, found: Estimate | None) -> dict[str, float | None]:
    return {name: None if found is None else found.value, f"{name}_stderr": None if found is None else found.stderr}


def _considered(row: StageState) -> tuple[Candidate, ...]:
    """The candidates of a decision; the method alone where the curriculum names it."""
    named = any(one.method == row.method for one in row.candidates)
    return row.candidates if named or row.method is None else (Candidate(row.method), *row.candidates)


def _decision(row: StageState, one: Candidate) -> dict[str, Any]:
    return {
        "stage": row.stage,
        "stage_name": _name(row),
        "candidate": one.method,
        "chosen": one.method == row.method,
        "reason": row.reason,
        "cap": row.cap,
        "share": row.share,
        "steps_spent": row.steps_spent,
        "evidence": dict(row.evidence),
        "figures": dict(one.figures),
    }


def _name(row: StageState) -> str:
    return "base" if row.stage == 0 else row.name


def _known(divergence: Estimate) -> float | None:
    """A divergence; `None` in journals of versions that did not measure it."""
    return divergence.value if divergence.n else None
