"""The table of scores: changes and their significance, what is folded and what is hidden."""

import pytest

from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.cli.views.live import final, live
from perdure.cli.views.retention_table import fold_rows, kl_style, table_blocks
from perdure.cli.views.symbols import ASCII, UNICODE
from tests.cli.drawn import plain, state_of, styles
from tests.cli.journals import START, long_run, whole_run


def test_cells_carry_change_and_significance() -> None:
    lines = final(state_of(whole_run()), {}, UNICODE, 100)
    row = next(line.plain for line in lines if line.plain.startswith(" 2 sort"))
    # Base 21, 45, 0, 88, 97; after stage 2: 70, 81, 2, 72, 95. Significant from 6 points on.
    assert row.split() == [
        "2",
        "sort",
        "sft",
        "↺",
        "0.260",
        "70",
        "+49▲",
        "81",
        "+36▲",
        "2",
        "+2",
        "│",
        "72",
        "-16▼",
        "95",
        "-2",
    ]
    assert "green" in styles(lines, "+49▲")
    assert "red" in styles(lines, "-16▼")
    assert "dim" in styles(lines, "-2 ")
    assert "underline" in styles(lines, "81 +36")
    assert "underline" not in styles(lines, "70 +49")


def test_signs_survive_without_colour_and_in_ascii() -> None:
    lines = final(state_of(whole_run()), {}, ASCII, 100)
    row = next(line.plain for line in lines if line.plain.startswith(" 2 sort"))
    assert row.split() == [
        "2",
        "sort",
        "sft",
        "<",
        "0.260",
        "70",
        "+49*",
        "81",
        "+36*",
        "2",
        "+2",
        "|",
        "72",
        "-16*",
        "95",
        "-2",
    ]


def test_a_score_beyond_one_is_no_percentage() -> None:
    rows = tuple(
        StageState(stage, "", scores={"ppl": Estimate(value, 0.1, 9)}) for stage, value in ((0, 12.5), (1, 14.0))
    )
    text = "\n".join(line.plain for line in table_blocks(RunState(benchmarks=("ppl",), rows=rows), {}, UNICODE, 80)[0])
    assert "12.50" in text
    assert "14.00 +1.500" in text


@pytest.mark.parametrize(("share", "style"), [(0.79, "green"), (0.8, "yellow"), (1.0, "yellow"), (1.01, "red")])
def test_kl_is_coloured_by_its_share(share: float, style: str) -> None:
    assert kl_style(share) == style


def test_many_stages_fit_and_what_is_hidden_is_counted() -> None:
    state = state_of(long_run(120), stage=120, name="last")
    lines = live(state, START, UNICODE, 80, 24)
    text = plain(lines)
    titles = next(line.plain for line in lines if line.plain.startswith(" stage"))
    tasks, marks = titles.count("rea"), titles.count("hel")
    assert f"{120 - tasks} tasks and {6 - marks} benchmarks hidden" in text
    assert tasks >= 3
    assert marks >= 1
    # 121 rows: the base, the folded ones, and those drawn.
    drawn = sum(line.plain[:1] in (" ", "▸") and line.plain[1:4].strip().isdigit() for line in lines)
    assert f"{121 - drawn} earlier stages folded" in text
    assert "▸120" in text


def test_show_leaves_no_column_out() -> None:
    state = state_of(long_run(12))
    blocks = table_blocks(state.record, state.changes, UNICODE, 80)
    titles = [column for block in blocks for column in block[0].plain.replace("│", " ").split()[3:]]
    assert len(titles) == 12 + 6
    assert all(line.cell_len <= 80 for block in blocks for line in block)


def test_fold_rows_keeps_base_and_newest() -> None:
    rows = [StageState(stage, "") for stage in range(10)]
    kept, folded = fold_rows(rows, 5)
    # Five lines: the base, the line that says so, and three rows; six of ten are folded.
    assert ([row.stage for row in kept], folded) == ([0, 7, 8, 9], 6)
    assert fold_rows(rows, None) == (rows, 0)
