"""The contents of a run's page, as plain values for the template: every figure a text, every text escaped later."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from perdure.agent.run.answers import ColumnAnswers, ItemAnswers, run_answers
from perdure.agent.run.diagnostics.diagnose import findings
from perdure.agent.run.events import Started
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.percent import format_score, metric_in_percent
from perdure.agent.run.record import final_policy
from perdure.agent.run.report import metric_estimates
from perdure.agent.run.state import RunState, StageState
from perdure.budget.figures import figure, nats
from perdure.cli.views.cells import PairedTests, ScoreCell, ScoreColumn, change_since_base, columns
from perdure.cli.views.describe import (
    describe_asked,
    describe_decision,
    describe_groups,
    describe_intervention,
    describe_price,
    describe_truncated,
    describe_unscored,
)
from perdure.cli.views.finding_lines import place
from perdure.cli.views.format import (
    format_cap,
    format_duration,
    format_evidence,
    format_generic,
    format_kl,
    format_law,
    last_reading,
)
from perdure.cli.views.symbols import UNICODE
from perdure.eval.metrics import FORMULAS

ITEMS = 20
"""Items of each task or benchmark in the page: those that were lost or gained first."""
LONGEST = 600
"""Characters of a text in the page."""


@dataclass(frozen=True)
class HeatCell:
    """A score with its change; `shade` from 0 to 1 is the size of the change beside the greatest one."""

    value: str
    change: str
    mark: str
    significant: bool
    shade: float
    better: bool
    learned: bool


def contents(record: RunState, begun: Started, folder: Path, changes: PairedTests, *, going_on: bool) -> dict[str, Any]:
    """All that the page shows but its figures."""
    answers = run_answers(record, folder) if any(row.scores for row in record.rows) else []
    policy = final_policy(RunFolder(folder), record)
    return {
        "run": record.run or folder.name,
        "status": _status(record, going_on),
        "finished": record.status == "finished",
        "refusal": record.refusal,
        "damaged": [column.fault for column in answers if column.fault is not None],
        "names": (*record.tasks, *record.benchmarks),
        "tasks": len(record.tasks),
        "matrix": _matrix(record, changes),
        "groups": describe_groups(record),
        "metrics": [*_metrics(record, folder)],
        "findings": [(place(record, one), one.text) for one in findings(record, folder)],
        "stages": [_stage(record, row) for row in record.rows],
        "nouns": record.nouns,
        "answers": [_column(column) for column in answers],
        "curriculum": _yaml(begun.curriculum),
        "versions": {**begun.versions, **begun.resolved},
        "base": begun.base_id,
        "policy": None if policy is None else policy.relative_to(folder),
        "seconds": format_duration(sum(row.seconds or 0.0 for row in record.rows)),
    }


def _status(record: RunState, going_on: bool) -> str:
    place = f"{len(record.done)} of {len(record.tasks)} stages are done"
    if record.status == "finished":
        return f"finished: {place}"
    if record.status == "refused":
        return "refused: nothing was trained"
    how = "is going on" if going_on else "was interrupted" if record.status == "interrupted" else "is not running"
    return f"not finished: {place}, and it {how}"


def _matrix(record: RunState, changes: PairedTests) -> list[dict[str, Any]]:
    found = columns(record, (*record.tasks, *record.benchmarks), record.rows, changes, UNICODE)
    differences = [[_difference(record, row, column.name, changes) for column in found] for row in record.rows]
    most = max((abs(one) for row in differences for one in row), default=0.0)
    return [
        _matrix_row(row, [(column, column.cells[index]) for column in found], [one / (most or 1.0) for one in shares])
        for index, (row, shares) in enumerate(zip(record.rows, differences, strict=True))
    ]


def _matrix_row(
    row: StageState, scores: Sequence[tuple[ScoreColumn, ScoreCell]], shares: Sequence[float]
) -> dict[str, Any]:
    """A row; `shares` are its changes as shares of the greatest one."""
    reading = last_reading(row)
    return {
        "stage": row.stage,
        "name": row.name or "base",
        "method": row.method or "",
        "kl": nats(reading.kl.value) if reading is not None else "",
        "over": reading is not None and not reading.within,
        "cells": [
            HeatCell(
                cell.value,
                cell.change.strip(),
                cell.mark,
                cell.significant,
                round(abs(share), 3),
                share >= 0,
                column.stage is not None and column.stage == row.stage,
            )
            for (column, cell), share in zip(scores, shares, strict=True)
        ],
    }


def _difference(record: RunState, row: StageState, name: str, changes: PairedTests) -> float:
    change = change_since_base(record, row, name, changes)
    return change if math.isfinite(change) else 0.0


def _metrics(record: RunState, folder: Path) -> Iterator[dict[str, str]]:
    for name, one in metric_estimates(record, folder).items():
        if one.value is not None:
            known, percent = one.low is not None and one.high is not None, metric_in_percent(record, name)
            value, low, high = (format_score(part, percent) for part in (one.value, one.low, one.high))
            words = {"name": name.replace("_", " "), "value": value, "interval": f"{low} to {high}" if known else ""}
            yield words | {"formula": FORMULAS[name]}


def _stage(record: RunState, row: StageState) -> dict[str, Any]:
    reading = last_reading(row)
    price = next((one for one in record.prices if one.stage == row.stage), None)
    notes = [
        *(describe_intervention(event, row) for event in row.interventions),
        *(describe_notice(event, record.nouns) for event in row.notices),
        *(describe_unscored(event, record.nouns) for event in row.unscored),
        describe_truncated(row),
        describe_asked(record, row),
        "" if price is None else describe_price(price, nouns=record.nouns),
        format_law(record, row),
    ]
    return {
        "title": f"Stage {row.stage}: {row.name}" if row.stage else "Base",
        "decision": describe_decision(row),
        "evidence": format_evidence(row.evidence),
        "candidates": [(one.method, _figures(one.figures), one.method == row.method) for one in row.candidates],
        "kl": format_kl(reading, nouns=record.nouns) + format_generic(reading, nouns=record.nouns)
        if reading is not None
        else "",
        "cap": format_cap(row, record.nouns),
        "took": f"{format_duration(row.seconds)}, {row.steps} steps" if row.committed else "not finished",
        "weights": row.weights_sha256 or "",
        "notes": [note for note in notes if note],
    }


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in figures.items())


def _value(value: Any) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def _column(column: ColumnAnswers) -> dict[str, Any]:
    return {
        "name": column.name,
        "fault": column.fault,
        "lost": column.count("lost"),
        "gained": column.count("gained"),
        "count": len(column.items),
        "items": [*map(_item, _chosen(column.items))],
    }


def _chosen(items: Sequence[ItemAnswers]) -> list[ItemAnswers]:
    """The first items, half of them lost at most where others were gained."""
    lost = [item for item in items if item.outcome == "lost"]
    rest = [item for item in items if item.outcome != "lost"]
    few = lost[: max(ITEMS - len(rest), ITEMS // 2)]
    return [*few, *rest[: ITEMS - len(few)]]


def _item(item: ItemAnswers) -> dict[str, Any]:
    texts = {"prompt": item.prompt, "expected": item.expected, "base": item.base, "answer": item.answer}
    scores = [None if score is None else f"{score:g}" for score in (item.base_score, item.score)]
    cut = {name: text if text is None or len(text) <= LONGEST else f"{text[:LONGEST]}…" for name, text in texts.items()}
    return {"outcome": item.outcome, "base_score": scores[0], "score": scores[1], **cut}


def _yaml(curriculum: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    file, yaml = StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(_plain(curriculum), file)
    return file.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
