"""Runs at real trackers, read back: killed and resumed, each step and score stands there once."""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.check import redo, remove_redone
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from perdure.agent.tracking.contract import LoggedTable, Opening, Record
from perdure.agent.tracking.follow import send_finished
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.tracking import tracker_of
from tests.agent.scalar_run import Killed, Onlooker, curriculum, in_memory, scalar_run
from tests.plugin.perdure_scalar.world import ScalarWorld

STEPS = list(range(1, 13))


def tracked_run(path: Path, *trackers: Any) -> list[str]:
    """A run of two stages of 6 steps, killed in the second and resumed; what was said."""
    config = Curriculum.model_validate(curriculum().model_dump() | {"tracking": list(trackers)})
    onlooker = Onlooker(14)
    with pytest.raises(Killed):
        run_curriculum(scalar_run(path, config, ScalarWorld(lambda step: None), onlooker))
    again = Onlooker()
    run_curriculum(scalar_run(path, config, ScalarWorld(lambda step: None), again))
    return onlooker.said + again.said


def test_tensorboard_has_the_run() -> None:
    pytest.importorskip("tensorboard", reason="needs perdure[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with in_memory() as folder:
        assert tracked_run(folder / "run", "tensorboard") == []
        found = EventAccumulator(str(folder / "run" / "tracking" / "tensorboard"))
        found.Reload()
    assert [one.step for one in found.Scalars("train/loss")] == STEPS
    assert [one.step for one in found.Scalars("score/task0")] == [0, 6, 12]
    kl = found.Scalars("kl/per_token")  # stage 2 goes back from 1.44, above the cap, to 1
    assert [one.step for one in kl] == [0, 0, 2, 4, 6, 6, 8, 10, 12, 12]
    assert [one.value for one in kl[-2:]] == pytest.approx([1.44, 1.0])
    assert len(found.Tensors("intervention")) == 1
    assert len(found.Tensors("decision")) == 2
    table = found.Tensors("retention")[0].tensor_proto.string_val[0].decode()
    assert table.splitlines()[0] == "| after | method | task0 | task1 |"
    assert len(table.splitlines()) == 5  # a heading, a rule, the base and two stages


def test_a_finished_run_is_sent_whole_and_once() -> None:
    pytest.importorskip("tensorboard", reason="needs perdure[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said: list[str] = []
    with in_memory() as folder:
        tracked_run(folder / "run")
        for _ in range(2):
            send_finished(RunFolder(folder / "run"), [tracker_of("tensorboard")], said.append)
        found = EventAccumulator(str(folder / "run" / "tracking" / "tensorboard"))
        found.Reload()
    assert said == []
    assert [one.step for one in found.Scalars("train/loss")] == STEPS
    assert [one.step for one in found.Scalars("score/task0")] == [0, 6, 12]


def test_events_that_were_sent_without_steps_are_not_hidden() -> None:
    """Runs of older versions have no steps: a tracker that is opened again keeps what it has of the scores."""
    pytest.importorskip("tensorboard", reason="needs perdure[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said: list[str] = []
    with in_memory() as folder:
        tracked_run(folder / "run")
        for table in (folder / "run").glob("stages/*/steps.parquet"):
            table.unlink()
        for _ in range(2):
            send_finished(RunFolder(folder / "run"), [tracker_of("tensorboard")], said.append)
        found = EventAccumulator(str(folder / "run" / "tracking" / "tensorboard"))
        found.Reload()
    assert said == []
    assert [one.step for one in found.Scalars("score/task0")] == [0, 6, 12]


def test_a_run_of_which_a_stage_was_run_again_is_sent_whole() -> None:
    """A tracker that comes after `--redo-from 2` has the steps of stage 1, too, and the last table alone."""
    pytest.importorskip("tensorboard", reason="needs perdure[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said: list[str] = []
    with in_memory() as folder:
        run = RunFolder(folder / "run")
        tracked_run(run.path)
        redo(run, read_record(run)[0], 2)
        remove_redone(run, ["task0", "task1"], read_record(run)[1])
        run_curriculum(scalar_run(run.path, curriculum(), ScalarWorld(lambda step: None), Onlooker()))
        send_finished(run, [tracker_of("tensorboard")], said.append)
        found = EventAccumulator(str(run.path / "tracking" / "tensorboard"), purge_orphaned_data=False)
        found.Reload()
    assert said == []
    assert [one.step for one in found.Scalars("train/loss")] == STEPS
    assert [one.step for one in found.Scalars("score/task0")] == [0, 6, 12]
    assert len(found.Tensors("retention")) == 1


def test_a_trackio_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="needs perdure[trackio]")
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", "x")
    with in_memory() as folder:
        monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
        said = tracked_run(folder / "run", {"type": "trackio", "server_url": "http://127.0.0.1:9"})
        assert not (folder / "run" / "tracking" / "trackio.json").exists()  # nothing counts as sent
    assert len(said) == 2, "once a process"
    assert all(line.startswith("tracking: the run goes on without trackio: URLError: ") for line in said)


def test_trackio_has_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="needs perdure[trackio]")
    with in_memory() as folder:
        monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
        assert tracked_run(folder / "run", {"type": "trackio", "project": "p", "name": "n"}) == []
        with sqlite3.connect(folder / "trackio" / "p.db") as database:
            rows = database.execute("select run_id, run_name, step, metrics from metrics order by id").fetchall()
    assert {row[:2] for row in rows} == {(rows[0][0], "n")}
    metrics = [(step, json.loads(text)) for _, _, step, text in rows]
    assert [step for step, row in metrics if "train/loss" in row] == STEPS
    assert Counter(step for step, row in metrics if "score/task1" in row) == {0: 1, 6: 1, 12: 1}
    assert [row["retention"]["_value"][0]["after"] for _, row in metrics if "retention" in row] == ["base"]


def test_wandb_has_the_run_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs perdure[wandb]")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    with in_memory() as folder:
        assert tracked_run(folder / "run", {"type": "wandb", "mode": "offline"}) == []
        parts = sorted((folder / "run" / "tracking" / "wandb").glob("offline-run-*"))
        assert len({part.name.rpartition("-")[2] for part in parts}) == 1, "one id"
        assert len(parts) == 2


def test_mlflow_has_the_run() -> None:
    pytest.importorskip("mlflow", reason="needs perdure[mlflow]")
    pytest.importorskip("sqlalchemy", reason="needs perdure[mlflow]")
    from mlflow import MlflowClient

    with in_memory() as folder:
        address = f"sqlite:///{folder}/m.db"
        assert tracked_run(folder / "run", {"type": "mlflow", "tracking_uri": address}) == []
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("perdure")
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"
        assert [one.step for one in client.get_metric_history(run.info.run_id, "train/loss")] == STEPS


def test_tables_of_mlflow_are_not_appended_to_each_other() -> None:
    """A run that is finished a second time, after `--redo-from`, has a second table."""
    pytest.importorskip("mlflow", reason="needs perdure[mlflow]")
    pytest.importorskip("sqlalchemy", reason="needs perdure[mlflow]")
    from mlflow import MlflowClient

    from perdure.agent.tracking.to_mlflow import MLflowRun

    with in_memory() as folder:
        address = f"sqlite:///{folder}/m.db"
        MlflowClient(address).create_experiment("e", artifact_location=(folder / "artifacts").as_uri())
        run = MLflowRun(Opening({"tracking_uri": address, "experiment_name": "e"}, folder, "run", None, {}))
        for event, value in ((10, 0.25), (20, 0.5)):
            table = LoggedTable(("after", "task0"), (("base", value),))
            run.log(Record(12, 0.0, tables={"retention": table}, event=event))
        files = sorted((folder / "artifacts").rglob("*.json"))
        assert [json.loads(file.read_text())["data"] for file in files] == [[["base", 0.25]], [["base", 0.5]]]
