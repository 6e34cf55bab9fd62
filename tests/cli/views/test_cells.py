"""One cell of the table."""

import pytest

from perdure.agent.run.record import Record, Row, Value
from perdure.cli.views.cells import cell
from perdure.cli.views.symbols import UNICODE


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Value(0.5, None, 1), "n/a (n=1)"),
        (Value(float("nan"), None, 0), "n/a (n=0)"),
        (Value(0.5, 0.1, 2), "50"),
    ],
)
def test_thin_data_is_no_figure(value: Value, words: str) -> None:
    row = Row(1, "even", scores={"even": value})
    assert cell(Record(tasks=("even",), rows=(row,)), row, "even", {}, UNICODE, percent=True).value == words
