"""What is pooled from runs, sweeps and tables, and what is refused."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perdure.agent.law_data.dataset import OTHER_PROBES, read_dataset, select_methods
from perdure.agent.law_data.findings import refuse_unmeasured
from perdure.budget.errors import ConfigError, DataError, RunError
from perdure.budget.law.fit import fit_law
from perdure.budget.law.points import Points

ABOUT = {
    "format": 1,
    "world": "vision",
    "base_id": "b1",
    "unit": "token",
    "prompts": "task",
    "sweep": "s",
    "benchmarks": ["fashion"],
}


def read_points(paths: Sequence[Path]) -> Points:
    return read_dataset(paths).points


Line = dict[str, Any]
SEED_2 = {"curriculum": {"seed": 2}}


def value(figure: float) -> dict[str, Any]:
    return {"value": figure, "stderr": 0.01, "n": 8}


def score(stage: int, name: str, figure: float) -> Line:
    return {"event": "score", "stage": stage, "name": name, "kind": "task", "file": "x"} | value(figure)


def reading(stage: int, kl: float, **fields: Any) -> Line:
    kls = {"kl_per_token": value(kl), "kl_per_sequence": value(9 * kl), "cap": 1.0, "unit": "sequence", "within": True}
    return {"event": "reading", "stage": stage, "step": 9, "entry": False, "final": True} | kls | fields


def commit(stage: int, name: str, method: str) -> Line:
    about = {"name": name, "method": method, "steps": 9, "seconds": 1.0, "weights_sha256": "w"}
    return {"event": "commit", "stage": stage} | about


def events(**started: Any) -> list[Line]:
    """A run of two stages; the second one is not committed."""
    first: Line = {"event": "started", "time": 0, "run": "r", "tasks": ["a", "b"], "benchmarks": ["y", "z"]}
    scores = [score(0, "y", 0.8), score(0, "z", 0.6), score(1, "y", 0.7), score(1, "z", 0.3), score(1, "a", 0.9)]
    others = {"kl_policy_to_base_per_token": value(0.4), "total_variation_per_token": value(0.2)}
    readings = [reading(1, 7.0, final=False, step=3), reading(1, 0.5, **others), reading(2, 3.0)]
    base = {"base_sha256": "abc"} if "base_id" not in started else {}
    return [first | base | started, *scores, *readings, commit(1, "a", "rl")]


def write_run(folder: Path, journal: Sequence[Line]) -> Path:
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


def test_a_run_gives_the_kl_on_the_generic_probe_where_it_was_read(tmp_path: Path) -> None:
    # the cap counts both, and the larger one; all other figures are of the tasks that were seen
    both = {"curriculum": {"budget": {"prompts": "both"}}}
    beside = {"kl_generic_per_token": value(0.7), "kl_generic_per_sequence": value(6.3), "on_generic": True}
    known, older = events(**both), events()
    known[-2] |= beside
    known[-3] |= beside
    older[-3]["kl_per_token"] = value(0.6)
    points = read_points([write_run(tmp_path / "a", known), write_run(tmp_path / "b", older)])
    assert list(points.predictors["kl_base_to_policy"]) == [0.5, 0.6]
    assert points.predictors["kl_base_to_policy_generic"] == pytest.approx([0.7, np.nan], nan_ok=True)
    assert points.prompts == "seen"


def test_kl_on_the_probe_does_not_pool_with_that_on_another(tmp_path: Path) -> None:
    def a_run(name: str, generic: str | None, probe: str | None = None, prompts: str = "seen") -> Path:
        budget = {"curriculum": {"budget": {"prompts": prompts, "generic": generic}}, "probe": probe}
        told = events(**budget)
        told[-3] |= {"kl_generic_per_token": value(0.7), "kl_per_token": value(sum(map(ord, name)))}
        return write_run(tmp_path / name, told)

    own, file, same = a_run("own", None), a_run("file", "/p.jsonl", "sha-1"), a_run("same", "/q.jsonl", "sha-1")
    older = [a_run(name, "/p.jsonl") for name in ("x", "y")]  # which do not say what the file held
    assert list(read_points([file, same]).predictors["kl_base_to_policy_generic"]) == [0.7, 0.7]
    for mixed in ([own, file], older, [file, older[0]]):
        found = read_dataset(mixed)
        assert "kl_base_to_policy_generic" not in found.points.predictors and len(found.points) == 2
        assert found.notes == (f"{OTHER_PROBES}, so it is left out",)
        refuse_unmeasured(found, "task")
        for predictor in ("generic", "both"):
            with pytest.raises(DataError, match=r"not on the same texts(.|\n)*Fit a law to each by itself"):
                refuse_unmeasured(found, predictor)
    counted = [a_run("one", None, None, "generic"), a_run("two", "/p.jsonl", "sha-1", "generic")]
    with pytest.raises(RunError, match=r"generic probes differ:\n.*the base itself\n.*sha-1"):
        read_dataset(counted)


def test_a_table_says_its_probe(tmp_path: Path) -> None:
    rows = [row(kl_base_to_policy_generic=0.7)]
    known, unknown, vision = (
        write_table(tmp_path / f"{name}.parquet", rows, ABOUT | about)
        for name, about in {
            "a": {"world": "language", "probe": "sha-1"},
            "b": {"world": "language"},
            "c": {},
        }.items()
    )
    assert list(read_dataset([known]).probes) == ["sha-1"]
    assert list(read_dataset([unknown]).probes) == [f"not known, of {unknown}"]
    differ = ABOUT | {"world": "language", "probe": None}
    mixed = read_dataset([write_table(tmp_path / "d.parquet", rows, differ)])
    assert "kl_base_to_policy_generic" not in mixed.points.predictors
    with pytest.raises(DataError, match=r"d\.parquet: not the same, or not known, in all its cells"):
        refuse_unmeasured(mixed, "generic")
    with pytest.raises(RunError, match="cells that differ in their probe"):
        read_dataset([write_table(tmp_path / "e.parquet", rows, differ | {"prompts": "generic"})])
    assert list(read_dataset([vision]).probes) == [""]  # no text can take the place of its own


def test_a_run_says_its_world_base_and_prompts(tmp_path: Path) -> None:
    budget = {"curriculum": {"budget": {"prompts": "task"}}}
    dataset = read_dataset([write_run(tmp_path / "r", events(world="vision", base_id="b1", **budget))])
    assert (dataset.points.world, dataset.points.base, dataset.points.prompts) == ("vision", "b1", "task")
    # the base's 0.8 and 0.6
    assert (dataset.benchmarks, dataset.notes, dataset.base_score) == (("y", "z"), (), pytest.approx(0.7))


def test_with_one_task_all_seen_prompts_are_its_own(tmp_path: Path) -> None:
    of_one = [event for event in events(tasks=["a"]) if event.get("stage", 0) < 2]
    assert read_points([write_run(tmp_path / "r", of_one)]).prompts == "task"


def test_a_sweep_gives_a_point_a_row(tmp_path: Path) -> None:
    rows = [row(), row(mass=0.9, base_mass=0.8), row("c1", "grpo", forgetting=None, mass=0.7, weight_l2=3.0)]
    write_table(
        tmp_path / "s" / "results.parquet", [{"mass": None, "base_mass": None, "weight_l2": None} | r for r in rows]
    )
    dataset = read_dataset([tmp_path / "s"])
    points = dataset.points
    assert list(points.method) == ["sft-1", "sft-1", "grpo"]
    # two checkpoints of one cell are of one run
    assert len(set(points.run)) == 2
    assert points.run[0] == points.run[1]
    np.testing.assert_array_equal(points.forgetting, [0.1, 0.1, np.nan])
    np.testing.assert_array_equal(points.mass, [np.nan, 0.9, 0.7])
    np.testing.assert_array_equal(points.predictors["weight_l2"], [np.nan, np.nan, 3.0])
    assert (points.world, points.base, points.unit, dataset.notes) == ("vision", "b1", "token", ())
    assert np.isnan(dataset.base_score)
    assert "step" not in points.predictors


def test_a_table_may_hold_the_floor_and_the_base_scores(tmp_path: Path) -> None:
    rows = [row(kl_floor=0.1, **{"base_score.fashion": score}) for score in (0.6, 0.8)]
    dataset = read_dataset([write_table(tmp_path / "t.parquet", rows)])
    assert list(dataset.points.predictors["kl_floor"]) == [0.1, 0.1]
    assert dataset.base_score == pytest.approx(0.7)


def test_the_seed_tells_runs_apart(tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.parquet", [row(seed=0), row(seed=1)])
    assert len(set(read_dataset([file]).points.run)) == 2


def test_runs_and_tables_of_one_base_pool(tmp_path: Path) -> None:
    budget = {"curriculum": {"budget": {"prompts": "task"}}}
    run = write_run(tmp_path / "r", events(world="vision", base_id="b1", benchmarks=["y"], **budget))
    table = write_table(tmp_path / "t.parquet", [row()], ABOUT | {"benchmarks": ["y"]})
    points = read_dataset([run, table]).points
    assert list(points.method) == ["rl", "sft-1"]
    np.testing.assert_array_equal(points.predictors["kl_policy_to_base"], [0.4, np.nan])


def test_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    table = write_table(tmp_path / "s" / "results.parquet", [row()])
    run = write_run(tmp_path / "r", events())
    assert len(read_dataset([table, tmp_path / "s", tmp_path / "." / "s"]).points) == 1
    assert len(read_dataset([run, run]).points) == 1


def test_an_unfinished_sweep_says_so(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    for number, cell in enumerate(("c0", "c1")):
        write_table(sweep / "cells" / f"{cell}.parquet", [row(cell, total_variation=number / 10)])
    (sweep / "sweep.json").write_text('{"cells": [{}, {}, {}, {}]}')
    (sweep / "failed").mkdir()
    (sweep / "failed" / "c2.json").write_text("{}")
    dataset = read_dataset([sweep])
    assert len(dataset.points) == 2
    assert len(set(dataset.points.run)) == 2
    assert dataset.notes == (
        f"{sweep} is not finished: 2 of 4 cells so far",
        f"{sweep}: 1 cell failed, and is not in the law",
    )


def test_a_run_that_has_only_begun_is_left_out(tmp_path: Path) -> None:
    dataset = read_dataset([write_run(tmp_path / "new", events()[:4]), write_run(tmp_path / "old", events())])
    assert len(dataset.points) == 1
    assert dataset.notes == (f"{tmp_path / 'new'}: no stage is finished yet",)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({}, {"world": "vision"}, "worlds differ:\n  .*one: language\n  .*two: vision"),
        ({}, {"base_sha256": "other"}, "bases differ:\n  .*one: abc\n  .*two: other"),
        (
            {"base_id": "bins 21, action_repeat 5: ab"},
            {"base_id": "bins 11, action_repeat 5: cd"},
            "settings of KL differ:\n  .*one: bins 21, action_repeat 5\n  .*two: bins 11, action_repeat 5",
        ),
        (
            {"base_id": "ab"},
            {"base_id": "float32 weights, bfloat16 autocast: ab"},
            "settings of KL differ:\n  .*one: float32 throughout\n  .*two: float32 weights, bfloat16 autocast",
        ),
        ({}, {"benchmarks": ["z", "w"]}, "benchmarks differ:\n  .*one: y, z\n  .*two: w, z"),
        ({}, {"curriculum": {"budget": {"prompts": "task"}}}, "prompts differ"),
    ],
)
def test_what_cannot_be_pooled(tmp_path: Path, ours: Any, theirs: Any, message: str) -> None:
    one, two = write_run(tmp_path / "one", events(**ours)), write_run(tmp_path / "two", events(**theirs))
    with pytest.raises(RunError, match=message):
        read_dataset([one, two])


def test_the_order_of_benchmarks_is_no_difference(tmp_path: Path) -> None:
    one, two = (
        write_run(tmp_path / "one", events()),
        write_run(tmp_path / "two", events(benchmarks=["z", "y"], **SEED_2)),
    )
    assert len(read_dataset([one, two]).points) == 2


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (None, "no table of results of perdure sweep"),
        ({"format": 2}, r"t\.parquet holds results of format 2, and this version of perdure reads format 1"),
        ({"format": 1, "world": "vision"}, "damaged: it does not name its base_id, unit, prompts, benchmarks"),
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
        read_dataset([write_table(tmp_path / "t.parquet", [short])])


def test_runs_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no benchmarks, so there is no forgetting to fit"):
        read_points([write_run(tmp_path / "bare", events(benchmarks=[]))])
    with pytest.raises(RunError, match="does not say which base"):
        read_points([write_run(tmp_path / "nobase", events(base_id=""))])
    for name, text in (("cut", "{nonsense\n"), ("list", "[]\n"), ("odd", '{"event": "commit"}\n')):
        damaged = write_run(tmp_path / name, [])
        (damaged / "journal.jsonl").write_text(text)
        with pytest.raises(RunError, match=f"{name}.*is (damaged|not a journal)"):
            read_dataset([damaged])


def test_places_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere does not exist"):
        read_dataset([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r"is no run folder .*, no sweep folder .* and no \.parquet file"):
        read_dataset([tmp_path])
    (tmp_path / "bad.parquet").write_text("not one")
    with pytest.raises(RunError, match=r"bad\.parquet is damaged"):
        read_dataset([tmp_path / "bad.parquet"])
    with pytest.raises(RunError, match=r"there is no checkpoint in .*new(.|\n)*no stage is finished yet"):
        read_points([write_run(tmp_path / "new", events()[:2])])
    empty = write_table(tmp_path / "empty.parquet", [row()])
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(RunError, match="there is no checkpoint"):
        read_dataset([empty])


def test_the_seed_of_cells_and_of_runs(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.parquet", [row(seed=3), row(seed=12)])
    assert list(read_dataset([table]).points.seed_P) == ["3", "12"]
    assert read_dataset([table]).points.seeds == ("3", "12")
    runs = [write_run(tmp_path / name, events(**more)) for name, more in (("one", {}), ("two", SEED_2))]
    assert list(read_dataset(runs).points.seed_P) == ["", "2"]


def test_runs_that_share_a_checkpoint_are_one(tmp_path: Path) -> None:
    # c1 is the first half of c2, and by another method c3 is the same policy; c4 has not moved, c5 has diverged
    still, broken = {"kl_base_to_policy": 0.0}, {"kl_base_to_policy": np.nan, "forgetting": np.nan}
    rows = [row("c0"), row("c0", mass=0.5), row("c1", accuracy=0.8), row("c2", accuracy=0.8), row("c2", accuracy=0.9)]
    rows += [row("c3", "grpo", accuracy=0.8), *(row(cell, **still) for cell in ("c4", "c6"))]
    rows += [row(cell, **broken) for cell in ("c5", "c7")]
    rows = [{"mass": 0.4} | one for one in rows]
    dataset = read_dataset([write_table(tmp_path / "t.parquet", rows)])
    cells = [str(run).split("/")[-2] for run in dataset.points.run]
    assert cells == ["c0", "c0", "c1", "c1", "c1", "c4", "c6", "c5", "c7"]
    assert dataset.points.method[4] == "grpo", "its checkpoint is still its own"
    assert dataset.notes == ("2 runs share checkpoints with others and count as one run with them",)


def test_runs_that_were_measured_with_other_predictors_are_one(tmp_path: Path) -> None:
    # c1 is c0 with more predictors, c2 with the generic probe; of another method, with fewer figures, c3 is its own
    rows = [row("c0"), row("c1", weight_l2=2.0), row("c2", kl_base_to_policy_generic=0.7), row("c3", "rl")]
    rows += [row("c4", weight_l2=3.0, total_variation=0.21)]
    tables = [write_table(tmp_path / one["cell"] / "t.parquet", [one]) for one in rows]
    dataset = read_dataset(tables)
    points = dataset.points
    assert [str(run).split("/")[-2] for run in points.run] == ["c0", "c3", "c4"]
    assert points.predictors["weight_l2"] == pytest.approx([2.0, np.nan, 3.0], nan_ok=True)
    assert points.predictors["kl_base_to_policy_generic"] == pytest.approx([0.7, np.nan, np.nan], nan_ok=True)
    assert dataset.notes == ("2 runs share checkpoints with others and count as one run with them",)


def test_a_method_is_not_predicted_from_its_twin(tmp_path: Path) -> None:
    # forgetting that follows no KL: runs of `a`, each of which is one of `b`, too, as two arms in a first stage are
    kl_R, noise_R = np.linspace(0.1, 1.0, 20), np.random.default_rng(0).normal(0, 0.05, 20)
    rows = [
        row(f"{method}{number}", method, kl_base_to_policy=float(kl), forgetting=float(noise))
        for method in "ab"
        for number, (kl, noise) in enumerate(zip(kl_R, noise_R, strict=True))
    ]
    fit = fit_law(read_dataset([write_table(tmp_path / "t.parquet", rows)]).points)
    # of no other run than the twins' is there a curve for a method; as other runs they gave R² in sample, above 0
    assert (fit.runs, fit.points, fit.methods, fit.held_out_methods) == (20, 40, 2, None)
    assert fit.held_out_runs is not None and (fit.held_out_runs.value or 0) < 0 < (fit.r2.value or 0)


def test_twins_of_twins_are_one_run(tmp_path: Path) -> None:
    # c0 and c1 share one checkpoint, c1 and c2 another: three runs are one, and four of six rows differ
    shared = [("c0", 0.1), ("c0", 0.2), ("c1", 0.3), ("c1", 0.2), ("c2", 0.3), ("c2", 0.4)]
    dataset = read_dataset([write_table(tmp_path / "t.parquet", [row(cell, accuracy=at) for cell, at in shared])])
    assert (list(dataset.points.accuracy), len(set(dataset.points.run))) == ([0.1, 0.2, 0.3, 0.4], 1)
    assert dataset.notes == ("2 runs share checkpoints with others and count as one run with them",)


def test_a_sweep_and_its_own_cells_count_once(tmp_path: Path) -> None:
    sweep, about = tmp_path / "s", ABOUT | {"benchmarks": ["y", "z"], "world": "language", "base_id": "abc"}
    about["prompts"] = "seen"
    (sweep / "cells").mkdir(parents=True)
    (sweep / "sweep.json").write_text('{"cells": [{}, {}]}')
    run = write_run(sweep / "cells" / "c0", events())
    cell = write_table(sweep / "cells" / "c0.parquet", [row("c0")], about)
    other = write_run(sweep / "cells" / "c1", events(**SEED_2))
    assert len(read_dataset([sweep, run]).points) == len(read_dataset([run, sweep]).points) == 1
    # the second is not among the cells that are finished, so it is counted
    assert len(read_dataset([sweep, run, other]).points) == 2
    results = write_table(sweep / "results.parquet", [row("c0")], about)
    assert len(read_dataset([sweep, run, cell, results]).points) == len(read_dataset([cell, results]).points) == 1
    assert len(read_dataset([run]).points) == 1


def test_benchmarks_of_one_name_that_are_not_the_same(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", events(data={"y": "f1", "a": "t1"}))
    same = write_run(tmp_path / "same", events(data={"y": "f1", "a": "t2"}))
    unknown = write_run(tmp_path / "unknown", events())
    other = write_run(tmp_path / "other", events(data={"y": "f2"}))
    seed = write_run(tmp_path / "seed", events(data={"y": "f2"}, **SEED_2))
    read_dataset([one, same, unknown, seed])  # the items may be drawn by the seed, so only equal seeds are compared
    with pytest.raises(RunError, match=r"y is not the same in\n  .*one: f1\n  .*other: f2"):
        read_dataset([one, unknown, other])
    about = ABOUT | {"benchmark_fingerprints": {"fashion": "f3"}}
    tables = [write_table(tmp_path / "t.parquet", [row()], about)]
    tables += [write_table(tmp_path / "u.parquet", [row("c1")], about | {"benchmark_fingerprints": {"fashion": "f4"}})]
    with pytest.raises(RunError, match="benchmarks differ"):
        read_dataset(tables)
    assert read_dataset([write_table(tmp_path / "n.parquet", [row()], about | {"benchmark_fingerprints": None})])


def test_held_out_items_and_training_prompts_do_not_pool(tmp_path: Path) -> None:
    budget = {"curriculum": {"budget": {"prompts": "task"}}}
    run = write_run(tmp_path / "r", events(world="vision", base_id="b1", benchmarks=["fashion"], **budget))
    stacked = write_table(tmp_path / "t.parquet", [row(mass=0.9)])
    broken = write_table(tmp_path / "b.parquet", [row("c1", mass=np.nan, kl_base_to_policy=np.nan)])
    with pytest.raises(
        RunError, match=r"inputs differ:\n  .*t\.parquet: KL on held-out items .*\n  .*r: KL on training"
    ):
        read_dataset([broken, stacked, run])
    assert len(read_dataset([broken, stacked]).points) == 2
    mixed = write_table(tmp_path / "m.parquet", [row(mass=0.9), row("c1", mass=None)])
    with pytest.raises(RunError, match="holds cells whose KL is over held-out items and runs"):
        read_dataset([mixed])


def test_some_methods_alone(tmp_path: Path) -> None:
    dataset = read_dataset([write_run(tmp_path / "run", events())])
    assert select_methods(dataset, ["rl"]).points.method.tolist() == ["rl"]
    with pytest.raises(ConfigError, match="no checkpoint is of 'sft'; there are: rl"):
        select_methods(dataset, ["sft"])
