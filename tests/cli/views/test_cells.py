"""One cell of the table."""

import pytest

from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.cli.views.cells import cell
from perdure.cli.views.symbols import UNICODE
from perdure.eval.scorefile import Asked


def test_a_score_asked_in_part_is_marked_also_without_a_change() -> None:
    score, asked = Estimate(0.5, 0.1, 4), {"even": Asked(4, 9, -0.2, 0.3)}
    row = StageState(1, "even", scores={"even": score}, asked=asked)
    for base in ({"even": Estimate(0.25, 0.1, 9)}, {}):
        record = RunState(tasks=("even",), rows=(StageState(0, None, scores=base), row))
        found = cell(record, row, "even", {}, UNICODE, percent=True)
        assert (found.mark, found.significant) == ("~", False)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Estimate(0.5, None, 1), "n/a (n=1)"),
        (Estimate(float("nan"), None, 0), "n/a (n=0)"),
        (Estimate(0.5, 0.1, 2), "50"),
    ],
)
def test_thin_data_is_no_figure(value: Estimate, words: str) -> None:
    row = StageState(1, "even", scores={"even": value})
    assert cell(RunState(tasks=("even",), rows=(row,)), row, "even", {}, UNICODE, percent=True).value == words
