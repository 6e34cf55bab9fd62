"""What `show --json` prints and what the coloured table rests on, from a small journal and its per-item files."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import write_table

from perdure.agent.run.events import Refused, Resumed
from perdure.agent.run.gates import Gate, check_gates
from perdure.agent.run.lines import from_json
from perdure.agent.run.report import changes, metric_estimates, read_items, run_object
from perdure.agent.run.state import RunState, fold, read_state
from perdure.agent.run.steps import TABLE, _table
from perdure.eval.scorefile import ItemResult, make_score, write_scores

# Ten items a column; row 0 is the base. Task a: 2, 8, 5 right; task b: 3, 4, 9; benchmark z: 9, 9, 7.
RIGHT = {"a": (2, 8, 5), "b": (3, 4, 9), "z": (9, 9, 7)}


def estimate(value: float) -> dict[str, Any]:
    return {"value": value, "stderr": 0.01, "n": 8}


def reading(stage: int, kl: float, **fields: Any) -> dict[str, Any]:
    kls = {"kl_per_token": estimate(kl), "kl_per_sequence": estimate(4 * kl) | {"stderr": 0.04}}
    flags = {"entry": False, "final": True}
    return (
        {"event": "reading", "stage": stage, "cap": 0.5, "unit": "token", "within": True, "step": 9}
        | kls
        | flags
        | fields
    )


def score_event(folder: Path, stage: int, name: str, right: int) -> dict[str, Any]:
    items = [ItemResult(f"{i}:{name}", float(i < right)) for i in range(10)]
    kind = "benchmark" if name == "z" else "task"
    score = make_score(name, kind, items)
    file = f"scores/{stage}-{name}.jsonl"
    write_scores(folder / file, score, {}, items)
    fields = {"value": score.value, "stderr": score.stderr, "n": score.n, "file": file}
    return {"event": "score", "stage": stage, "name": name, "kind": kind} | fields


def life(folder: Path, stages: int = 2) -> RunState:
    """A run of two stages, of which `stages` are done."""
    events: list[dict[str, Any]] = [
        {"event": "started", "run": "r", "tasks": ["a", "b"], "benchmarks": ["z"], "time": 0}
    ]
    for stage in range(stages + 1):
        if stage > 0:
            decision = {"method": "rl", "reason": f"reason {stage}", "evidence": {}}
            events.append({"event": "decision", "stage": stage, "name": "ab"[stage - 1]} | decision)
        events.append(reading(stage, 0.1 * stage))
        events += [score_event(folder, stage, name, right[stage]) for name, right in RIGHT.items()]
        about = {"name": "base" if stage == 0 else "ab"[stage - 1], "method": "rl" if stage else None}
        done = {"steps": 9, "seconds": 1.5, "weights_sha256": f"w{stage}"}
        events.append({"event": "commit", "stage": stage} | about | done)
    return read_state(map(from_json, events))


def test_the_object_says_that_the_error_and_the_bound_are_the_probes() -> None:
    probe = {"kl_generic_per_token": estimate(0.3) | {"stderr": 0.02}, "kl_generic_per_sequence": estimate(1.2)}
    begun = {"event": "started", "run": "r", "tasks": ["a"], "benchmarks": []}
    found = run_object(read_state(map(from_json, [begun, reading(0, 0.1, bound=0.3, on_generic=True, **probe)])))
    (row,) = found["rows"]
    assert (row["kl_per_token"], row["on_generic"], row["kl_stderr"], row["kl_bound"]) == (0.1, True, 0.02, 0.3)


def test_the_object_of_a_whole_run(tmp_path: Path) -> None:
    found = run_object(life(tmp_path), tmp_path)
    json.dumps(found, allow_nan=False)
    assert (found["run"], found["tasks"], found["benchmarks"], found["weights_sha256"]) == (
        "r",
        ["a", "b"],
        ["z"],
        "w2",
    )
    assert [row["stage"] for row in found["rows"]] == [0, 1, 2]
    assert found["rows"][2] == {
        "stage": 2,
        "task": "b",
        "method": "rl",
        "reason": "reason 2",
        "evidence": {},
        "candidates": [],
        "share": None,
        "cap": None,
        "kl_per_token": 0.2,
        "kl_per_sequence": 0.8,
        "kl_generic_per_token": None,
        "kl_generic_per_sequence": None,
        "on_generic": False,
        "kl_stderr": 0.01,
        "kl_bound": 0.2,
        "budget": 0.5,
        "penalty_weight": None,
        "interventions": [],
        "notices": [],
        "unscored": [],
        "truncated": {},
        "by_member": [],
        "asked": {},
        "end_scores": {},
        "predicted_forgetting": None,
        # 5 of 10: sqrt(10/9 * 0.25 / 10) = 1/6; 9 of 10: sqrt(10/9 * 0.09 / 10) = 0.1; 7: sqrt(0.21 / 9) = 0.15275
        "scores": {
            "a": {"value": 0.5, "stderr": pytest.approx(1 / 6), "n": 10},
            "b": {"value": 0.9, "stderr": pytest.approx(0.1), "n": 10},
            "z": {"value": 0.7, "stderr": pytest.approx(0.15275, abs=1e-5), "n": 10},
        },
        "seconds": 1.5,
    }
    assert found["rows"][0]["task"] is None
    # average (0.5 + 0.9) / 2; backward 0.5 - 0.8; forward R[1,b] - R[0,b]; forgetting 0.8 - 0.5; drop 0.9 - 0.7
    assert found["metrics"] == pytest.approx(
        {
            "average_accuracy": 0.7,
            "backward_transfer": -0.3,
            "forward_transfer": 0.1,
            "forgetting": 0.3,
            "benchmark_drop": 0.2,
        }
    )
    for name, (low, high) in found["metric_intervals"].items():
        assert low <= found["metrics"][name] <= high
    assert found["formulas"].keys() == found["metrics"].keys()


def test_the_unit_of_the_budget_decides_the_standard_error(tmp_path: Path) -> None:
    record = life(tmp_path, stages=0)
    assert run_object(record)["rows"][0]["kl_stderr"] == 0.01
    events = [
        {"event": "started", "run": "r", "tasks": [], "benchmarks": [], "time": 0},
        reading(0, 0.1, unit="sequence"),
    ]
    assert run_object(read_state(map(from_json, events)))["rows"][0]["kl_stderr"] == 0.04


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    nothing = run_object(RunState(), tmp_path)
    assert (nothing["rows"], nothing["weights_sha256"]) == ([], None)
    assert set(nothing["metrics"].values()) == set(nothing["metric_intervals"].values()) == {None}
    one = run_object(life(tmp_path, stages=1), tmp_path)
    assert len(one["rows"]) == 2
    assert one["metrics"]["average_accuracy"] == pytest.approx(0.8)  # task a alone
    assert one["metrics"]["forgetting"] is one["metrics"]["backward_transfer"] is None


def test_a_stage_that_is_not_done_does_not_count(tmp_path: Path) -> None:
    record = life(tmp_path, stages=1)
    undone = replace(life(tmp_path).rows[2], weights_sha256=None)
    begun = replace(record, rows=(*record.rows, undone))
    assert run_object(begun, tmp_path)["metrics"] == run_object(record, tmp_path)["metrics"]
    assert len(run_object(begun, tmp_path)["rows"]) == 2


def test_figures_that_are_no_numbers_are_null(tmp_path: Path) -> None:
    events = [
        {"event": "started", "run": "r", "tasks": ["a"], "benchmarks": [], "time": 0},
        reading(0, math.nan),
        {
            "event": "score",
            "stage": 0,
            "name": "a",
            "kind": "task",
            "value": math.nan,
            "stderr": None,
            "n": 0,
            "file": "x",
        },
    ]
    (row,) = run_object(read_state(map(from_json, events)), tmp_path)["rows"]
    assert row["kl_per_token"] is None
    assert row["scores"]["a"] == {"value": None, "stderr": None, "n": 0}


def test_why_a_strict_run_was_refused_and_whether_it_went_on(tmp_path: Path) -> None:
    assert run_object(life(tmp_path))["refusal"] is None
    reason = "stage 3 needs at least 0.298 nats, 0.100 remain (c)"
    refused = fold(life(tmp_path, stages=0), Refused(reason=reason))
    found = run_object(refused)
    assert (found["status"], found["refusal"]) == ("refused", reason)
    found = run_object(fold(refused, Resumed()))
    assert (found["status"], found["refusal"]) == ("running", None)


def test_changes_are_paired_by_item(tmp_path: Path) -> None:
    found = changes(life(tmp_path), tmp_path)
    assert found.keys() == {(stage, name) for stage in (1, 2) for name in "abz"}
    # task a after stage 1: 6 items gained, none lost: p = 2 / 2^6
    assert found[1, "a"].difference == pytest.approx(0.6)
    assert found[1, "a"].p_value == pytest.approx(2 / 64)
    assert found[1, "a"].low < 0.6 < found[1, "a"].high
    assert (found[1, "z"].difference, found[1, "z"].p_value, found[1, "z"].n) == (0, 1, 10)


def test_files_that_are_missing_or_of_other_items_are_left_out(tmp_path: Path) -> None:
    record = life(tmp_path)
    (tmp_path / "scores/1-a.jsonl").unlink()
    items = [ItemResult(f"other {i}", 1.0) for i in range(10)]
    write_scores(tmp_path / "scores/2-b.jsonl", make_score("b", "task", items), {}, items)
    assert changes(record, tmp_path).keys() == {(2, "a"), (1, "b"), (1, "z"), (2, "z")}
    estimates = metric_estimates(record, tmp_path)
    assert estimates["forgetting"].value == pytest.approx(0.3)  # the journal's figures need no files
    assert estimates["forgetting"].low is None
    assert estimates["benchmark_drop"].low is not None
    assert changes(RunState(), tmp_path) == {}


def group_score(folder: Path, stage: int, right: dict[str, int]) -> dict[str, Any]:
    """Benchmark z as a group that counts its tasks alike: x of eight items and y of two."""
    sizes = {"x": 8, "y": 2}
    items = [ItemResult(f"{task}/{i}:z", float(i < right[task])) for task, n in sizes.items() for i in range(n)]
    score, file = make_score("z", "benchmark", items, by_member=True), f"scores/{stage}-z.jsonl"
    write_scores(folder / file, score, {}, items)
    fields = {"value": score.value, "stderr": score.stderr, "n": score.n, "file": file, "by_member": True}
    return {"event": "score", "stage": stage, "name": "z", "kind": "benchmark"} | fields


def test_the_interval_of_a_group_whose_tasks_count_alike_is_of_the_mean_of_their_means(tmp_path: Path) -> None:
    record = life(tmp_path)
    for stage, right in enumerate(({"x": 8, "y": 2}, {"x": 8, "y": 2}, {"x": 6, "y": 1})):
        (event,) = map(from_json, [group_score(tmp_path, stage, right)])
        record = fold(record, event)
    drop = metric_estimates(record, tmp_path)["benchmark_drop"]
    # two of eight and one of two: (1/4 + 1/2) / 2, not 3/10
    assert drop.value == pytest.approx(0.375)
    assert drop.low is not None and drop.high is not None and drop.low < 0.1 and drop.high > 0.7
    # a gate at 0.2 is beyond the limit by no more than noise; without an interval it would have failed
    done = replace(record, status="finished")
    (result,) = check_gates(done, tmp_path, [Gate("benchmark_drop", 0.2)])
    assert result.verdict == "noise"


def test_the_change_of_a_group_whose_tasks_count_alike_is_that_of_its_score(tmp_path: Path) -> None:
    record = life(tmp_path)
    for stage, right in enumerate(({"x": 4, "y": 2}, {"x": 8, "y": 2}, {"x": 8, "y": 0})):
        (event,) = map(from_json, [group_score(tmp_path, stage, right)])
        record = fold(record, event)
    found = changes(record, tmp_path)
    scores = [row.scores["z"].value for row in record.rows]
    assert scores == pytest.approx([0.75, 1.0, 0.5])
    # x has 8/10 of the items and y 2/10: over items the last would be (4 - 2) / 10, a gain
    assert [found[stage, "z"].difference for stage in (1, 2)] == pytest.approx([0.25, -0.25])
    # items of x weigh 10 / (2 * 8): d = 0.625 four times, 0 six times; s2 = (4 * 0.375^2 + 6 * 0.25^2) / 9 = 0.1041667,
    # t(9 degrees, 97.5 %) = 2.262157
    half = 2.262157 * math.sqrt(0.1041667 / 10)
    assert (found[1, "z"].low, found[1, "z"].high) == pytest.approx((0.25 - half, 0.25 + half), abs=1e-5)
    # all four gains have one sign: 2 of 2^4 patterns
    assert (found[1, "z"].p_value, found[1, "z"].n) == (2 / 16, 10)


def test_a_file_of_items_is_read_once_until_it_is_written_again(tmp_path: Path) -> None:
    row = life(tmp_path).rows[1]
    first = read_items(row, "a", tmp_path)
    assert first is not None and sum(value or 0 for value in first.values()) == 8
    assert read_items(row, "a", tmp_path) is first
    score_event(tmp_path, 1, "a", 10)
    again = read_items(row, "a", tmp_path)
    assert again is not None and sum(value or 0 for value in again.values()) == 10


def test_items_that_one_of_the_two_could_not_be_scored_on_are_left_out(tmp_path: Path) -> None:
    record = life(tmp_path)
    items = [ItemResult(f"{i}:a", None if i == 0 else float(i < 5)) for i in range(10)]
    write_scores(tmp_path / "scores/2-a.jsonl", make_score("a", "task", items), {}, items)
    # without item 0, which the base had right: the base 1 of 9, after stage 2 4 of 9
    found = changes(record, tmp_path)[2, "a"]
    assert (found.difference, found.n) == (pytest.approx(3 / 9), 9)


def test_reading_a_run_imports_nothing_heavy(tmp_path: Path) -> None:
    file, heavy = tmp_path / TABLE, ("torch", "scipy", "transformers", "lm_eval", "datasets", "pandas")
    write_table(_table([]), file)
    code = (
        "import sys, perdure.agent.run.report, perdure.agent.run.steps as steps; "
        f"from pathlib import Path; steps._read_table(Path({str(file)!r})); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
