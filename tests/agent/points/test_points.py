"""What is pooled from runs, sweeps and tables, and what is refused."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perdure.agent.journal import Event
from perdure.agent.points.pool import read_points, read_pool
from perdure.budget.errors import RunError

ABOUT = {
    "format": 1,
    "world": "vision",
    "base_id": "b1",
    "unit": "token",
    "prompts": "task",
    "sweep": "s",
    "benchmarks": ["fashion"],
}


def value(figure: float) -> dict[str, Any]:
    return {"value": figure, "stderr": 0.01, "n": 8}


def score(stage: int, name: str, figure: float) -> Event:
    return {"event": "score", "stage": stage, "name": name, "file": "x"} | value(figure)


def reading(stage: int, kl: float, **fields: Any) -> Event:
    kls = {"kl_per_token": value(kl), "kl_per_sequence": value(9 * kl), "cap": 1.0, "unit": "sequence", "within": True}
    return {"event": "reading", "stage": stage, "step": 9, "entry": False, "final": True} | kls | fields


def commit(stage: int, name: str, method: str) -> Event:
    about = {"name": name, "method": method, "steps": 9, "seconds": 1.0, "weights_sha256": "w"}
    return {"event": "commit", "stage": stage} | about


def events(**started: Any) -> list[Event]:
    """A life of two stages; the second one is not committed."""
    first: Event = {"event": "started", "time": 0, "run": "r", "tasks": ["a", "b"], "benchmarks": ["y", "z"]}
    scores = [score(0, "y", 0.8), score(0, "z", 0.6), score(1, "y", 0.7), score(1, "z", 0.3), score(1, "a", 0.9)]
    others = {"kl_policy_to_base_per_token": value(0.4), "total_variation_per_token": value(0.2)}
    readings = [reading(1, 7.0, final=False, step=3), reading(1, 0.5, **others), reading(2, 3.0)]
    base = {"base_sha256": "abc"} if "base_id" not in started else {}
    return [first | base | started, *scores, *readings, commit(1, "a", "rl")]


def write_run(folder: Path, journal: Sequence[Event]) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in journal))
    return folder


def row(cell: str = "c0", method: str = "sft-1", **figures: Any) -> dict[str, Any]:
    usual = {"forgetting": 0.1, "accuracy": 0.95, "kl_base_to_policy": 0.3, "total_variation": 0.2, "step": 5}
    return {"cell": cell, "method": method, "seed": 0} | usual | figures


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any] | None = ABOUT) -> Path:
    table = pa.Table.from_pylist([dict(one) for one in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"perdure": json.dumps(about)} if about is not None else {}), path)
    return path


def test_a_run_gives_a_point_a_stage_that_is_done(tmp_path: Path) -> None:
    points = read_points([write_run(tmp_path / "r", events())])
    assert (list(points.method), list(points.accuracy), list(points.run)) == (["rl"], [0.9], [str(tmp_path / "r")])
    # ((0.8 - 0.7) + (0.6 - 0.3)) / 2, at the reading that the stage ended with, in nats a token whatever the cap counts
    assert points.forgetting == pytest.approx([0.2])
    assert {name: list(column) for name, column in points.predictors.items()} == {
        "kl_base_to_policy": [0.5],
        "kl_policy_to_base": [0.4],
        "total_variation": [0.2],
    }
    assert np.isnan(points.mass).all()
    # a journal that names no world and no base_id: language, and the base by its weights
    assert (points.world, points.base, points.unit, points.prompts) == ("language", "abc", "token", "seen")


def test_a_run_says_its_world_base_and_prompts(tmp_path: Path) -> None:
    budget = {"curriculum": {"budget": {"prompts": "task"}}}
    pool = read_pool([write_run(tmp_path / "r", events(world="vision", base_id="b1", **budget))])
    assert (pool.points.world, pool.points.base, pool.points.prompts) == ("vision", "b1", "task")
    # the base's 0.8 and 0.6
    assert (pool.benchmarks, pool.notes, pool.base_score) == (("y", "z"), (), pytest.approx(0.7))


def test_with_one_task_all_seen_prompts_are_its_own(tmp_path: Path) -> None:
    assert read_points([write_run(tmp_path / "r", events(tasks=["a"]))]).prompts == "task"


def test_a_sweep_gives_a_point_a_row(tmp_path: Path) -> None:
    rows = [row(), row(mass=0.9, base_mass=0.8), row("c1", "grpo", forgetting=None, weight_l2=3.0)]
    write_table(
        tmp_path / "s" / "results.parquet", [{"mass": None, "base_mass": None, "weight_l2": None} | r for r in rows]
    )
    pool = read_pool([tmp_path / "s"])
    points = pool.points
    assert list(points.method) == ["sft-1", "sft-1", "grpo"]
    # two checkpoints of one cell are of one run
    assert len(set(points.run)) == 2
    assert points.run[0] == points.run[1]
    np.testing.assert_array_equal(points.forgetting, [0.1, 0.1, np.nan])
    np.testing.assert_array_equal(points.mass, [np.nan, 0.9, np.nan])
    np.testing.assert_array_equal(points.predictors["weight_l2"], [np.nan, np.nan, 3.0])
    assert (points.world, points.base, points.unit, pool.notes) == ("vision", "b1", "token", ())
    assert np.isnan(pool.base_score)
    assert "step" not in points.predictors


def test_a_table_may_hold_the_floor_and_the_base_scores(tmp_path: Path) -> None:
    rows = [row(kl_floor=0.1, **{"base_score.fashion": score}) for score in (0.6, 0.8)]
    pool = read_pool([write_table(tmp_path / "t.parquet", rows)])
    assert list(pool.points.predictors["kl_floor"]) == [0.1, 0.1]
    assert pool.base_score == pytest.approx(0.7)


def test_the_seed_tells_runs_apart(tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.parquet", [row(seed=0), row(seed=1)])
    assert len(set(read_points([file]).run)) == 2


def test_runs_and_tables_of_one_base_pool(tmp_path: Path) -> None:
    budget = {"curriculum": {"budget": {"prompts": "task"}}}
    run = write_run(tmp_path / "r", events(world="vision", base_id="b1", benchmarks=["y"], **budget))
    table = write_table(tmp_path / "t.parquet", [row()], ABOUT | {"benchmarks": ["y"]})
    points = read_points([run, table])
    assert list(points.method) == ["rl", "sft-1"]
    np.testing.assert_array_equal(points.predictors["kl_policy_to_base"], [0.4, np.nan])


def test_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    table = write_table(tmp_path / "s" / "results.parquet", [row()])
    run = write_run(tmp_path / "r", events())
    assert len(read_points([table, tmp_path / "s", tmp_path / "." / "s"])) == 1
    assert len(read_points([run, run])) == 1


def test_an_unfinished_sweep_says_so(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    for cell in ("c0", "c1"):
        write_table(sweep / "cells" / f"{cell}.parquet", [row(cell)])
    (sweep / "sweep.json").write_text('{"cells": [{}, {}, {}, {}]}')
    (sweep / "failed").mkdir()
    (sweep / "failed" / "c2.json").write_text("{}")
    pool = read_pool([sweep])
    assert len(pool.points) == 2
    assert len(set(pool.points.run)) == 2
    assert pool.notes == (
        f"{sweep} is not finished: 2 of 4 cells so far",
        f"{sweep}: 1 cell failed, and is not in the law",
    )


def test_a_run_that_has_only_begun_is_left_out(tmp_path: Path) -> None:
    pool = read_pool([write_run(tmp_path / "new", events()[:4]), write_run(tmp_path / "old", events())])
    assert len(pool.points) == 1
    assert pool.notes == (f"{tmp_path / 'new'}: no stage is done yet",)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({}, {"world": "vision"}, "worlds differ:\n  .*one: language\n  .*two: vision"),
        ({}, {"base_sha256": "other"}, "bases differ:\n  .*one: abc\n  .*two: other"),
        ({}, {"benchmarks": ["z", "w"]}, "benchmarks differ:\n  .*one: y, z\n  .*two: w, z"),
        ({}, {"curriculum": {"budget": {"prompts": "task"}}}, "prompts differ"),
    ],
)
def test_what_cannot_be_pooled(tmp_path: Path, ours: Any, theirs: Any, message: str) -> None:
    one, two = write_run(tmp_path / "one", events(**ours)), write_run(tmp_path / "two", events(**theirs))
    with pytest.raises(RunError, match=message):
        read_points([one, two])


def test_the_order_of_benchmarks_is_no_difference(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", events()), write_run(tmp_path / "two", events(benchmarks=["z", "y"]))
    assert len(read_points([one, two])) == 2


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (None, "no table of results of perdure sweep"),
        ({"format": 2}, r"t\.parquet holds results of format 2, and this version of perdure reads format 1"),
        ({"format": 1, "world": "vision"}, "damaged: it does not say its base_id, unit, prompts, benchmarks"),
        ({"nothing": 1}, "damaged"),
        ([1], "damaged"),
        (ABOUT | {"base_id": None}, "cells that differ in their base_id, and cannot be pooled"),
        (ABOUT | {"benchmarks": []}, "has no benchmarks, so there is no forgetting"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, about: Any, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_points([write_table(tmp_path / "t.parquet", [row()], about)])


def test_a_table_without_a_column(tmp_path: Path) -> None:
    short = {key: found for key, found in row().items() if key not in ("forgetting", "method")}
    with pytest.raises(RunError, match=r"t\.parquet lacks the columns method, forgetting"):
        read_points([write_table(tmp_path / "t.parquet", [short])])


def test_runs_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no benchmarks, so there is no forgetting to fit"):
        read_points([write_run(tmp_path / "bare", events(benchmarks=[]))])
    with pytest.raises(RunError, match="does not say which base"):
        read_points([write_run(tmp_path / "nobase", events(base_id=None))])
    for name, text in (("cut", "{nonsense\n"), ("list", "[]\n"), ("odd", '{"event": "commit"}\n')):
        damaged = write_run(tmp_path / name, [])
        (damaged / "journal.jsonl").write_text(text)
        with pytest.raises(RunError, match=f"{name}.*is damaged or of another version"):
            read_points([damaged])


def test_places_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere does not exist"):
        read_points([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r"is no run folder .*, no sweep folder .* and no \.parquet file"):
        read_points([tmp_path])
    (tmp_path / "bad.parquet").write_text("not one")
    with pytest.raises(RunError, match=r"bad\.parquet is damaged"):
        read_points([tmp_path / "bad.parquet"])
    with pytest.raises(RunError, match=r"there is no checkpoint in .*new(.|\n)*no stage is done yet"):
        read_points([write_run(tmp_path / "new", events()[:2])])
    empty = write_table(tmp_path / "empty.parquet", [row()])
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(RunError, match="there is no checkpoint"):
        read_points([empty])
