"""Rows as parquet: columns, types, what is missing, and what must agree."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perdure.agent.law_data.sweeps import table_source
from perdure.agent.sweep.contract import FinishedCell
from perdure.agent.sweep.folder import SweepFolder, create_sweep
from perdure.agent.sweep.results import (
    METADATA,
    PREDICTORS,
    SHA256,
    axis_type,
    cell_table,
    collect,
    read_table,
    write_cell,
)
from perdure.budget.errors import RunError
from tests.agent.sweep.doubles import SWEEP, provenance, read, train


@pytest.fixture
def finished(tmp_path: Path) -> list[FinishedCell]:
    cells = read(tmp_path, SWEEP.replace("[0.1, 0.2, 0.4]", "[0.5, 1, 2]")).cells
    rows = train([cell.curriculum for cell in cells], 2)
    return [FinishedCell(c, tuple(r), provenance(c.curriculum)) for c, r in zip(cells, rows, strict=True)]


def folder(path: Path) -> SweepFolder:
    return create_sweep(path / "sweep", {"format": 1})


AXES = {"arm": ["plain", "tied"], "learning_rate": [0.5, 1, 2]}


def test_one_row_a_checkpoint_with_the_columns_in_order(finished: list[FinishedCell]) -> None:
    table = cell_table(finished[5], AXES)  # arm plain, rate 2, seed 1
    about = ["cell", "method", "seed", "stage", "task", "step", "steps", "final", "axis.arm", "axis.learning_rate"]
    measured = ["accuracy", "mass", "base_mass", "base_entropy", "base_entropy_most", "kl_floor", "forgetting"]
    measured += ["score.old", "base_score.old"]
    assert table.column_names == [*about, *measured, *PREDICTORS, "seconds"]
    first, last = table.to_pylist()
    # The number is 2 * 2 = 4 after step 2 and 8 after step 4; the KL is its square.
    assert (first["step"], first["final"], first["kl_base_to_policy"]) == (2, False, 16.0)
    assert (last["step"], last["final"], last["kl_base_to_policy"]) == (4, True, 64.0)
    assert (last["cell"], last["method"], last["seed"], last["axis.learning_rate"]) == ("0006", "plain", 1, 2.0)
    assert math.isnan(last["weight_l2"]) and math.isnan(last["mass"])


def test_without_an_axis_arm_the_method_is_the_curriculums(finished: list[FinishedCell]) -> None:
    one = replace(finished[0], cell=replace(finished[0].cell, values={"learning_rate": 0.5}))
    assert set(cell_table(one, {"learning_rate": [0.5]})["method"].to_pylist()) == {"rl"}
    own = replace(one, rows=tuple({**row, "method": "chord"} for row in one.rows))
    assert set(cell_table(own, {"learning_rate": [0.5]})["method"].to_pylist()) == {"chord"}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], pa.bool_()),
        ([1, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([1, 2**70], pa.float64()),
        ([1, True], pa.string()),
        (["a", 1], pa.string()),
        ([{"r": 8}, None], pa.string()),
    ],
)
def test_an_axis_has_one_type(values: list[Any], kind: pa.DataType) -> None:
    assert axis_type(values) == kind


def test_values_that_are_no_numbers_or_texts_are_told_as_json(finished: list[FinishedCell]) -> None:
    cell = replace(finished[0].cell, values={"lora": {"r": 8}})
    table = cell_table(replace(finished[0], cell=cell), {"lora": [{"r": 8}, None]})
    assert table["axis.lora"].to_pylist() == ['{"r": 8}'] * 2


def test_cells_are_put_together_in_order_with_what_they_agree_on(tmp_path: Path, finished: list[FinishedCell]) -> None:
    sweep = folder(tmp_path)
    further = replace(finished[1], rows=tuple({**row, "curiosity": 1.0} for row in finished[1].rows))
    for one in (further, finished[0]):
        write_cell(sweep, one, "grid", AXES)
    table = collect(sweep, ["0001", "0002", "0003"], "grid")
    assert table is not None
    assert table["cell"].to_pylist() == ["0001", "0001", "0002", "0002"]
    assert table["curiosity"].to_pylist() == [None, None, 1.0, 1.0]
    assert table.column_names[-2:] == ["curiosity", "seconds"]
    expected = {
        "format": 1,
        "sweep": "grid",
        "benchmark_fingerprints": None,
        "model": None,
        "probe": None,
        **provenance(finished[0].cell.curriculum),
    }
    told = json.loads(table.schema.metadata[b"perdure"])
    assert len(told.pop("sha256")) == 64
    assert told == expected


def test_what_cells_do_not_agree_on_is_null(tmp_path: Path, finished: list[FinishedCell]) -> None:
    sweep = folder(tmp_path)
    write_cell(sweep, finished[0], "grid", AXES)
    write_cell(sweep, replace(finished[1], provenance={**finished[1].provenance, "base_id": "other"}), "grid", AXES)
    table = collect(sweep, ["0001", "0002"], "grid")
    assert table is not None
    about = json.loads(table.schema.metadata[b"perdure"])
    assert about["base_id"] is None and about["world"] == "scalar"


def test_fingerprints_of_benchmarks_are_handed_on_where_all_cells_know_them_alike(
    tmp_path: Path, finished: list[FinishedCell]
) -> None:
    sweep = folder(tmp_path)
    for cell, fingerprint in zip(finished, ("f1", "f1", "f2"), strict=False):
        told = {**cell.provenance, "benchmark_fingerprints": {"old": fingerprint}}
        write_cell(sweep, replace(cell, provenance=told), "grid", AXES)
    for cells, expected in ((["0001", "0002"], {"old": "f1"}), (["0001", "0003"], None)):
        table = collect(sweep, cells, "grid")
        assert table is not None
        assert json.loads(table.schema.metadata[b"perdure"])["benchmark_fingerprints"] == expected


def test_nothing_finished_is_no_table_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    sweep = folder(tmp_path)
    assert collect(sweep, ["0001"], "grid") is None
    sweep.rows("0001").write_bytes(b"PAR1 no")
    with pytest.raises(RunError, match=r"0001\.parquet is damaged"):
        collect(sweep, ["0001"], "grid")


@pytest.mark.parametrize("change", ["accuracy", "method", "metadata", "older"])
def test_rows_that_are_not_those_that_were_written_are_refused(
    tmp_path: Path, finished: list[FinishedCell], change: str
) -> None:
    sweep = folder(tmp_path)
    write_cell(sweep, finished[5], "grid", AXES)
    path = sweep.rows(finished[5].cell.id)
    table = pq.read_table(path)
    told = json.loads(table.schema.metadata[METADATA])
    if change in table.column_names:
        values = [{"accuracy": 0.9, "method": "sft"}[change]] * len(table)
        table = table.set_column(table.column_names.index(change), table.schema.field(change), [values])
    told |= {"base_id": "another"} if change == "metadata" else {}
    if change == "older":
        del told[SHA256]
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps(told)}), path)
    if change == "older":
        assert read_table(path).num_rows == len(table)
        return
    for reader in (lambda: collect(sweep, [finished[5].cell.id], "grid"), lambda: table_source(path)):
        with pytest.raises(RunError, match=r"is damaged.*its SHA-256 differs from that of the rows"):
            reader()


def test_the_law_reads_what_a_sweep_writes(tmp_path: Path, finished: list[FinishedCell]) -> None:
    sweep = folder(tmp_path)
    write_cell(sweep, finished[5], "grid", AXES)
    source = table_source(sweep.rows("0006"))
    found = source.provenance
    assert (found.world, found.base, found.benchmarks) == ("scalar", "zero", ("old",))
    assert [row.predictors["kl_base_to_policy"] for row in source.points] == [16.0, 64.0]
    assert {row.method for row in source.points} == {"plain"}
