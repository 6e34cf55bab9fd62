"""A whole sweep of a world of one number: stopped anywhere, killed anywhere, changed under our hands."""

import json
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.sweep.contract import Executor
from perdure.agent.sweep.folder import SweepFolder, lock_sweep, read_description, write_description
from perdure.agent.sweep.summary import sweep_object
from perdure.agent.sweep.sweep import begin_sweep, read_plan, run_sweep, unfinished_cells
from perdure.budget.errors import DiskFullError, RunError
from tests.agent.sweep.doubles import BAD, BROKEN, FULL, SWEEP, Here, Seen, carry_on, read, stacked


def by(executor: Executor) -> Any:
    """Let one executor do everything."""
    return lambda folder, plan, cells: [(executor, cells)]


def whole(path: Path, text: str = SWEEP) -> SweepFolder:
    folder = begin_sweep(read(path, text), path / "whole")
    run_sweep(folder, read_plan(folder), by(Here()), Seen())
    return folder


def test_a_sweep_ends_in_one_file_and_is_shown_on_the_way(tmp_path: Path) -> None:
    seen = Seen()
    folder = begin_sweep(read(tmp_path), tmp_path / "grid-1")
    run_sweep(folder, read_plan(folder), stacked, seen)
    assert (seen.before, sorted(seen.cells)) == (0, [f"{number:04d}" for number in range(1, 13)])
    found = sweep_object(folder)
    assert (found["status"], found["cells"], found["finished"], found["failed"]) == ("finished", 12, 12, [])
    # KL at the end is (4 * rate) ** 2 for the rates 0.1, 0.2, 0.4: 0.16, 0.64, 2.56; their mean is 1.12.
    plain, tied = found["methods"]
    assert (plain["method"], plain["runs"], plain["kl"]["value"]) == ("plain", 6, pytest.approx(1.12))
    assert tied["kl"]["low"] < 1.12 < tied["kl"]["high"]


@pytest.mark.parametrize("stop_after", range(13))
def test_stopped_after_any_cell_it_goes_on_with_the_rest(tmp_path: Path, stop_after: int) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "grid-1")
    first, second, seen = Here(stop_after), Here(), Seen()
    if stop_after < 12:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(folder, read_plan(folder), by(first), Seen())
        assert sweep_object(folder)["status"] == "interrupted"
    run_sweep(folder, read_plan(folder), by(second), seen)
    assert not set(first.asked) & set(second.asked), "finished cells are not repeated"
    assert sorted(first.asked + second.asked) == [cell.id for cell in read_plan(folder).cells]
    assert seen.before == len(first.asked)
    assert folder.results.read_bytes() == whole(tmp_path).results.read_bytes()


def test_killed_at_random_moments_it_ends_the_same(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.agent.sweep.doubles"])
    moments = random.Random(3)
    read(tmp_path)
    before = [0]
    while before[-1] < 12:
        process = context.Process(target=carry_on, args=(tmp_path, True))
        process.start()
        while process.is_alive() and not list((tmp_path / "grid-1" / "cells").glob("*.parquet"))[before[-1] :]:
            time.sleep(0.01)
        process.join(moments.uniform(0, 0.3))
        process.kill()
        process.join()
        before.append(len(list((tmp_path / "grid-1" / "cells").glob("*.parquet"))))
    assert len(before) > 3, f"too few kills: {before}"
    carry_on(tmp_path)
    assert (tmp_path / "grid-1" / "results.parquet").read_bytes() == whole(tmp_path).results.read_bytes()


def test_cells_that_fail_do_not_stop_the_rest_and_are_tried_again(tmp_path: Path) -> None:
    text = SWEEP.replace("[0.1, 0.2, 0.4]", f"[0.1, {BAD}, {BROKEN}]").replace("[0, 1]", "[0]")
    folder = whole(tmp_path, text)
    found = sweep_object(folder)
    assert (found["status"], found["finished"]) == ("finished", 4)
    reasons = [(one["cell"], one["reason"], one["values"]["arm"]) for one in found["failed"]]
    assert reasons == [("0002", "there is no such data", "plain"), ("0005", "there is no such data", "tied")]
    assert [(line["runs"], line["broken"], line["kl"]["n"]) for line in found["methods"]] == [(2, 1, 1)] * 2
    assert [cell.id for cell in unfinished_cells(folder, read_plan(folder))] == ["0002", "0005"]


def test_the_table_of_before_is_not_that_of_a_sweep_which_goes_on(tmp_path: Path) -> None:
    folder = whole(tmp_path, SWEEP.replace("[0.1, 0.2, 0.4]", f"[0.1, {BAD}]").replace("[0, 1]", "[0]"))
    assert (folder.results.exists(), sweep_object(folder)["status"]) == (True, "finished")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(folder, read_plan(folder), by(Here(stop_after=0)), Seen())
    found = sweep_object(folder)
    assert (found["status"], found["finished"], found["results"]) == ("interrupted", 2, None)
    run_sweep(folder, read_plan(folder), by(Here()), Seen())
    assert (folder.results.exists(), sweep_object(folder)["status"]) == (True, "finished")


def test_where_every_cell_fails_there_is_no_table(tmp_path: Path) -> None:
    folder = whole(tmp_path, SWEEP.replace("[0.1, 0.2, 0.4]", f"[{BAD}]"))
    assert not folder.results.exists()
    found = sweep_object(folder)
    assert (found["status"], found["finished"], len(found["failed"])) == ("finished", 0, 4)


def test_a_failure_is_forgotten_once_the_cell_is_done(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    folder.rows("0003").unlink()
    folder.failure("0003").write_text('{"reason": "bad luck"}')
    assert [one["cell"] for one in sweep_object(folder)["failed"]] == ["0003"]
    run_sweep(folder, read_plan(folder), by(Here()), Seen())
    assert sweep_object(folder)["failed"] == []


def test_a_full_disk_stops_the_sweep_and_keeps_it_resumable(tmp_path: Path) -> None:
    folder = begin_sweep(read(tmp_path, SWEEP.replace("0.4", str(FULL))), tmp_path / "grid-1")
    with pytest.raises(DiskFullError, match=r"perdure resume .*grid-1"):
        run_sweep(folder, read_plan(folder), stacked, Seen())
    assert sweep_object(folder)["status"] == "interrupted"


def test_the_same_sweep_is_taken_up_and_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid-1"
    plan = read_plan(begin_sweep(read(tmp_path), path))
    changed = begin_sweep(read(tmp_path, SWEEP.replace("workers: 2", "workers: 7")), path)
    assert read_plan(changed) == replace(plan, workers=7)
    with lock_sweep(changed), pytest.raises(RunError, match="in use"):
        begin_sweep(read(tmp_path), path)
    assert read_plan(changed).workers == 7
    with pytest.raises(RunError, match=r"  values\.learning_rate: was 0\.2, is 0\.3 \(4 cells\)"):
        begin_sweep(read(tmp_path, SWEEP.replace("0.2", "0.3")), path)
    with pytest.raises(RunError, match="cells: was 12, is 6"):
        begin_sweep(read(tmp_path, SWEEP.replace("[0, 1]", "[0]")), path)
    (tmp_path / "else").mkdir()
    with pytest.raises(RunError, match="is no sweep"):
        begin_sweep(read(tmp_path), tmp_path / "else")


def test_other_versions_are_refused_by_name(tmp_path: Path) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "grid-1")
    described = json.loads(folder.description.read_text())
    for changed, message in (
        ({"versions": described["versions"] | {"torch": "1.0"}}, r"versions\.torch: was '1\.0'"),
        ({"format": 0}, "format: was 0, is 1"),
    ):
        write_description(folder, described | changed)
        with pytest.raises(RunError, match=message):
            read_plan(folder)
    folder.description.write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        read_plan(folder)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "grid-1")
    with lock_sweep(folder):
        assert sweep_object(folder)["status"] == "running"
        with pytest.raises(RunError, match="in use"), lock_sweep(folder):
            pass


def test_the_plan_comes_back_as_it_was_read(tmp_path: Path) -> None:
    swept = read(tmp_path)
    plan = read_plan(begin_sweep(swept, tmp_path / "grid-1"))
    assert plan.cells == swept.cells
    assert plan.axes == {name: [cell.values[name] for cell in swept.cells] for name in ("arm", "learning_rate")}


def test_leftovers_of_a_kill_are_no_part_of_it(tmp_path: Path) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "grid-1")
    (folder.cells / ".0001.123.partial" / "stages").mkdir(parents=True)
    (folder.cells / "0002.parquet.partial").write_bytes(b"half")
    (folder.path / "results.parquet.partial").write_bytes(b"half")
    run_sweep(folder, read_plan(folder), by(Here()), Seen())
    assert list(folder.path.rglob("*partial")) + list(folder.cells.glob(".*")) == []


def test_a_description_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = begin_sweep(read(tmp_path), tmp_path / "out")
    text = folder.description.read_text()
    folder.description.write_text(text.replace('"seed": 1', '"seed": 7', 1))
    for refused in (lambda: read_plan(folder), lambda: begin_sweep(read(tmp_path), folder.path)):
        with pytest.raises(RunError, match=r"sweep\.json was changed or damaged, its SHA-256 differs"):
            refused()
    folder.description.write_text("{}")
    with pytest.raises(RunError, match="cells: was None, is 12"):
        begin_sweep(read(tmp_path), folder.path)
    older = {key: value for key, value in json.loads(text).items() if key != "sha256"}
    folder.description.write_text(json.dumps(older))
    assert len(read_plan(folder).cells) == 12


def test_a_sweep_that_was_begun_before_there_was_a_choice_measures_all(tmp_path: Path) -> None:
    chosen = read(tmp_path)
    folder = begin_sweep(chosen, tmp_path / "grid")
    older = {name: value for name, value in read_description(folder).items() if name != "predictors"}
    write_description(folder, older)
    assert read_plan(begin_sweep(chosen, tmp_path / "grid")).predictors == "all"
    fewer = replace(chosen, sweep=chosen.sweep.model_copy(update={"predictors": "divergences"}))
    with pytest.raises(RunError, match=r"cannot be resumed(.|\n)*predictors"):
        begin_sweep(fewer, tmp_path / "grid")
