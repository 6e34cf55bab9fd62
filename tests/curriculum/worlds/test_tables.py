"""Cells of data files: what the file says is what prompt, answer, demonstration and reward get."""

import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.task import Item
from tests.curriculum.worlds.language.sources.building import data, write_rows

CELLS = ["02109", "True", "1" + "0" * 20, "1.0", "1.50", "2024-01-31", "NA", "null", "None", "a,\n'b'", "-0", "1e3"]
"""Texts that a reader which guesses types would change."""


def items(path: Path | str, **more: Any) -> list[Item]:
    task = data(path, **{"train": 30, "heldout": 2, "columns": {"answer": "a"}, **more})
    return sorted((*task.train, *task.heldout), key=lambda item: int(item.prompt[0]["content"].split()[0][1:]))


def text_rows(cells: list[Any]) -> list[dict[str, Any]]:
    return [{"prompt": f"q{number}", "a": cell, "kept": cell} for number, cell in enumerate(cells)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "json", "parquet", "folder", "json folder"])
def test_text_stays_as_it_is_written(tmp_path: Path, kind: str) -> None:
    rows = text_rows(CELLS)
    path = tmp_path / f"data.{kind}"
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(write_rows(tmp_path / "data.csv", rows).read_bytes()))
    elif kind == "tsv":
        cells = [["prompt", "a", "kept"], *([row["prompt"], f'"{row["a"]}"', f'"{row["a"]}"'] for row in rows)]
        path.write_text("\n".join("\t".join(line) for line in cells))
    elif kind == "folder":
        path = write_rows(tmp_path / "data" / "train-0.csv", rows[:5]).parent
        write_rows(path / "train-1.csv", rows[5:])
    elif kind == "json folder":
        path = write_rows(tmp_path / "data" / "train.jsonl", rows).parent
    else:
        write_rows(path, rows)
    found = items(path)
    assert [item.answer for item in found] == [item.demonstration for item in found] == CELLS
    assert [item.columns["kept"] for item in found] == CELLS
    filled = items(path, template="{prompt} {a}")
    assert [item.prompt[0]["content"] for item in filled] == [f"q{n} {cell}" for n, cell in enumerate(CELLS)]


def test_json_keeps_its_types_for_rewards_and_its_digits_for_text(tmp_path: Path) -> None:
    cells = ["7", "1.50", "1.0", "1e3", "100000000000000000000", "true", "[1.10, null]", '{"x": [2.0]}']
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"prompt": "q{n}", "a": {cell}}}\n' for n, cell in enumerate(cells)))
    found = items(path)
    assert [item.answer for item in found] == [*cells[:6], "1.10", cells[7]]  # the first of a list of right answers
    values = [item.columns["a"] for item in found]
    assert values == [json.loads(cell) for cell in cells]
    assert [type(value) for value in values[:6]] == [int, float, float, float, int, bool]
    assert [type(item.gold) for item in found[:6]] == [int, float, float, float, int, bool]


def test_gaps_leave_the_other_cells_as_they_are(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"q{n}", "a": "x", "n": n, "m": {"k": n}} for n in range(5)]
    del rows[1]["n"], rows[2]["m"]["k"]
    rows[3]["n"] = None
    found = items(write_rows(tmp_path / "rows.jsonl", rows))
    assert [item.columns["n"] for item in found] == [0, None, 2, None, 4]
    assert [item.columns["m"] for item in found] == [{"k": 0}, {"k": 1}, {}, {"k": 3}, {"k": 4}]
    (tmp_path / "rows.csv").write_text("prompt,a,n\nq0,x,3\nq1,x,\nq2,x\nq3,x,04\n")
    assert [item.columns["n"] for item in items(tmp_path / "rows.csv")] == ["3", "", None, "04"]
    filled = items(tmp_path / "rows.csv", template="{prompt}{n}", columns={"answer": "a"})
    assert [item.prompt[0]["content"] for item in filled] == ["q1", "q2", "q03", "q304"]


def test_parquet_s_types_are_read_as_text(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {
        "day": pyarrow.array([datetime.date(2024, 1, 31)] * 4),
        "time": pyarrow.array([datetime.datetime(2024, 1, 31, 6)] * 4, pyarrow.timestamp("ns")),
        "narrow": pyarrow.array([0.1] * 4, pyarrow.float32()),
        "price": pyarrow.array([Decimal("1.10")] * 4),
        "gap": pyarrow.array([3, None, 3, 3]),
    }
    table = pyarrow.table({"prompt": [f"q{n}" for n in range(4)], **columns, "raw": [b"x"] * 4})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    found = [
        items(tmp_path / "rows.parquet", columns={"answer": name})[0] for name in ("day", "time", "narrow", "price")
    ]
    assert [item.answer for item in found] == ["2024-01-31", "2024-01-31 06:00:00", "0.1", "1.10"]
    assert [item.columns["gap"] for item in items(tmp_path / "rows.parquet", columns={})] == [3, None, 3, 3]
    with pytest.raises(DataError, match="column 'raw' holds bytes, not text"):
        items(tmp_path / "rows.parquet", columns={"answer": "raw"})


def test_where_and_splits_read_cells_of_text(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("prompt,a,level,hard\n" + "".join(f"q{n},x,{n % 2},{n < 6}\n" for n in range(12)))
    assert (
        len(items(path, where={"level": 1, "hard": True}))
        == len(items(path, where={"level": "1", "hard": "True"}))
        == 3
    )
    assert len(items(tmp_path, split="train[:25%]")) == len(items(tmp_path, split="train[9:]")) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"prompt,a\nq,\xe9\n", r"a.csv:2:3: byte 0xe9 is not UTF-8"),
        ("a.csv", b"prompt,a\nq,1,2\n", r"a.csv:2: this row has 3 cells, and there are 2 columns"),
        ("a.csv", b'prompt,a\nq,1\n"q,1\nq,1\n', r"a.csv:3: this is not CSV"),
        ("a.csv", b"prompt,prompt\nq,1\n", r"a.csv:1: two columns are called 'prompt'"),
        ("a.csv", "prompt,a\nq,1\n".encode("utf-16"), r"a.csv:1:1: byte 0xff is not UTF-8"),
        ("a.jsonl", b'{"prompt": "q"}\n{"prompt": "\xe9"}\n', r"a.jsonl:2:13: byte 0xe9 is not UTF-8"),
        ("a.jsonl", b'{"prompt": "q"}\n{"a": ' + b"[" * 50_000, r"a.jsonl:2: .* nested more than 100 deep"),
        ("a.json", b"[" * 50_000 + b"]" * 50_000, r"a.json:1: .* nested more than 100 deep"),
        ("a.json", b'["q", 1]', r"a.json: element 2 of the list is no object"),
        ("a.jsonl", b'[{"a": 1}]\n[]\n', r"a.jsonl:2: this is no object"),
        ("a.jsonl", b'[{"a": 1}]\n[{"a": 1]\n', r"a.jsonl:2:9: this is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        data(tmp_path / name)


def test_a_card_s_settings_are_kept_or_refused(tmp_path: Path) -> None:
    card = "---\nconfigs:\n- config_name: default\n  data_files: rows.csv\n  {}\n---\n"
    (tmp_path / "rows.csv").write_text("".join(f"q{n};0{n}\n" for n in range(4)))
    (tmp_path / "README.md").write_text(card.format('sep: ";"\n  names: [prompt, a]'))
    assert [item.answer for item in items(tmp_path)] == ["00", "01", "02", "03"]
    (tmp_path / "README.md").write_text(card.format("skiprows: 1"))
    with pytest.raises(DataError, match="card sets `skiprows: 1` for its files, which is not read here"):
        items(tmp_path)


def test_a_cell_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('prompt,a\n"q\n0",1\nq1,2\n ,3\n')
    with pytest.raises(DataError, match=r"a.csv:5, column 'prompt' is empty"):
        data(tmp_path / "a.csv")
    write_rows(tmp_path / "a.json", [{"prompt": "q"}, {"prompt": 7}])
    with pytest.raises(DataError, match=r"a.json, element 2 of the list, column 'prompt' holds a number"):
        data(tmp_path / "a.json")
