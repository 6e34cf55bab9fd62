"""The scores of a model card, from a journal written by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from perdure.agent.export.export import Described
from perdure.agent.run.state import RunState
from perdure.budget.estimate import Estimate
from perdure.cli.report.card import _scores
from tests.cli.drawn import folded
from tests.cli.journals import whole_run


class _Run:
    """What the scores of a card are read from."""

    def __init__(self, record: RunState, folder: Path) -> None:
        self.record, self.folder, self.row = record, folder, record.rows[-1]


def test_a_score_is_in_points_where_another_row_has_none(tmp_path: Path) -> None:
    record = folded(whole_run())
    nothing: dict[str, Any] = {"even": Estimate(float("nan"), None, 0)}  # the reward applied to no answer
    rows = [replace(row, scores=row.scores | nothing) if row.stage == 1 else row for row in record.rows]
    run = cast("Described", _Run(replace(record, rows=tuple(rows)), tmp_path))
    even = next(_scores(run, rows))
    assert even["cells"] == ["21.0 ± 4.0", "n/a (n=0)", "70.0 ± 4.0", "68.0 ± 4.0"]
