"""The frames of a run: figures derived by hand, and the columns and dtypes that they always have."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

import perdure
from perdure.agent.api.frames import DECISIONS, READINGS, SCORES, _frame
from perdure.budget.errors import RunError
from perdure.cli.commands.show import show_command
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.journals import Clock, scores, whole_run, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> perdure.Run:
    """Three stages; see `tests.cli.journals`: of 100 items the first are right, so that a change of d points has an
    exact p-value of 2 / 2^d."""
    return perdure.open_run(write_run(tmp_path_factory.mktemp("runs") / "demo", whole_run()))


def row(frame: Any, **wanted: Any) -> dict[str, Any]:
    """The one row with these values."""
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    (found,) = frame.to_dict("records")
    return dict(found)


def test_scores_and_their_changes(run: perdure.Run) -> None:
    frame = run.scores()
    assert len(frame) == 4 * 5
    found = row(frame, stage=3, name="arith")  # 88 right before, 71 after: 17 lost, none gained
    assert (found["stage_name"], found["kind"], found["value"], found["n"]) == ("chain", "benchmark", 0.71, 100)
    assert found["change"] == pytest.approx(-0.17)
    assert found["p_value"] == pytest.approx(2 / 2**17)
    assert found["change_low"] < -0.17 < found["change_high"] < 0
    base = row(frame, stage=0, name="even")
    assert (base["stage_name"], base["kind"], base["value"]) == ("base", "task", 0.21)
    assert math.isnan(base["change"]) and math.isnan(base["p_value"])


def test_a_change_is_on_the_items_of_both_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "demo", whole_run())
    # the reward did not apply to 50 answers after stage 3, 10 of them to items that the base had right
    items = [ItemResult(str(i), None if 11 <= i < 61 else float(i < 68)) for i in range(100)]
    write_scores(folder / "scores/3-even.jsonl", make_score("even", "task", items), {}, items)
    journal = folder / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    told = [one | {"value": 18 / 50, "n": 50} if _is_score(one, 3, "even") else one for one in lines]
    journal.write_text("".join(json.dumps(one) + "\n" for one in told))
    # 18 of 50 after, and 11 of the same 50 before: 0.14, where 18 / 50 - 21 / 100 is 0.15
    found = row(perdure.open_run(folder).scores(), stage=3, name="even")
    assert (found["value"], found["change"]) == (0.36, pytest.approx(0.14))
    assert found["change_low"] < 0.14 < found["change_high"]
    show_command(folder, False, "csv")
    (after,) = [one for one in csv.DictReader(io.StringIO(capsys.readouterr().out)) if one["stage"] == "3"]
    assert (float(after["even"]), float(after["even change"])) == (0.36, pytest.approx(0.14))
    show_command(folder, False, "markdown")
    assert "36 (+14*)" in capsys.readouterr().out


def _is_score(line: dict[str, Any], stage: int, name: str) -> bool:
    return (line["event"], line.get("stage"), line.get("name")) == ("score", stage, name)


def test_readings_have_both_units(run: perdure.Run) -> None:
    frame = run.readings()
    found = row(frame, stage=1, final=True)
    assert (found["kl_per_token"], found["kl_per_sequence"]) == (0.213, pytest.approx(0.213 * 20))
    assert (found["kl_per_token_stderr"], found["kl_per_sequence_stderr"]) == (0.01, 0.2)
    assert (found["cap"], found["unit"], found["upper_bound"], found["within"]) == (0.5, "token", 0.213, True)
    assert (found["step"], found["entry"]) == (60, False)
    assert math.isnan(found["total_variation_per_token"]), "this journal is of a version that did not measure it"
    broken = frame[(frame.stage == 3) & (frame.step == 57)]
    assert math.isnan(broken.kl_per_token.item()) and not broken.within.item()
    assert list(frame[frame.final].stage) == [1, 2, 3]


def test_a_decision_without_candidates_is_its_method(run: perdure.Run) -> None:
    found = row(run.decisions(), stage=2)
    assert (found["candidate"], found["chosen"], found["figures"]) == ("sft", True, {})
    assert found["reason"] == "pass@8 0.91 but 88 % of the budget spent"
    assert found["evidence"]["demonstrations"] is True


def test_a_decision_has_a_row_a_candidate(tmp_path: Path) -> None:
    events = whole_run()
    for event in events:
        if event["event"] == "decision" and event["stage"] == 1:
            event["candidates"] = [
                {"method": "sft", "figures": {"expected": 0.4}},
                {"method": "rl", "figures": {"expected": 0.6}},
            ]
    frame = perdure.open_run(write_run(tmp_path / "r", events)).decisions()
    stage = frame[frame.stage == 1]
    assert list(stage.candidate) == ["sft", "rl"] and list(stage.chosen) == [False, True]
    assert [one["expected"] for one in stage.figures] == [0.4, 0.6]
    assert len(frame) == 4


def test_answers_item_by_item(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", whole_run())
    for file, marks in (("0-even", (1, 1, 0, None)), ("3-even", (1, 0, 1, 1))):
        about = {"prompt": "say it", "expected": "it", "completion": file}
        items = [ItemResult(f"{n}:x", mark, about) for n, mark in enumerate(marks)]
        write_scores(folder / f"scores/{file}.jsonl", make_score("even", "task", items), {}, items)
    found = perdure.open_run(folder)
    frame = found.answers("even")
    assert list(frame.outcome) == ["lost", "gained", "same", "unscored"]
    assert list(frame.item) == ["1:x", "2:x", "0:x", "3:x"]
    assert (frame.base[0], frame.answer[0], frame.base_score[0], frame.score[0]) == ("0-even", "3-even", 1, 0)
    assert set(found.answers().name) == {"even", "sort", "chain", "arith", "copy"}
    with pytest.raises(RunError, match="the run has even, sort"):
        found.answers("evn")
    (folder / "scores/3-even.jsonl").write_text("damaged")
    with pytest.warns(UserWarning, match=r"3-even\.jsonl is missing or damaged"):
        assert "even" not in set(found.answers().name)
    assert math.isnan(row(found.scores(), stage=3, name="even")["p_value"])


def test_a_run_of_an_older_version_has_no_steps(run: perdure.Run) -> None:
    assert len(run.steps()) == 0 and "stage_name" in run.steps().columns
    with pytest.raises(ValueError, match="stage 4: the run has the stages 1 to 3"):
        run.steps(4)


def test_a_notebook_shows_a_row_a_stage(run: perdure.Run) -> None:
    html = run._repr_html_()
    assert html.startswith(f"<p>&lt;Run {run.path}: finished, 3 of 3 stages&gt;</p><table")
    assert html.count("<tr") == 6 and "71.0%" in html and "~" not in html


def test_metrics_are_those_of_show(run: perdure.Run, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    show_command(run.path, as_json=True)
    assert run.metrics == json.loads(capsys.readouterr().out)["metrics"]
    # after the last stage 0.68, 0.74 and 0.55; even was 0.72 once learned, sort 0.81
    assert run.metrics["average_accuracy"] == pytest.approx((0.68 + 0.74 + 0.55) / 3)
    assert run.metrics["backward_transfer"] == pytest.approx((-0.04 - 0.07) / 2)


def test_an_unfinished_run_has_the_same_columns(tmp_path: Path) -> None:
    at = Clock()
    begun = [at("started", run="r", tasks=["even"], benchmarks=[]), *scores(at, 0, (0.5,), (("even", "task"),))]
    run = perdure.open_run(write_run(tmp_path / "r", begun))
    assert run.status == "running" and repr(run) == f"<Run {tmp_path / 'r'}: running, 0 of 1 stages>"
    assert list(run.scores().value) == [0.5]
    for frame, columns in ((run.readings(), READINGS), (run.decisions(), DECISIONS), (run.scores(), SCORES)):
        assert frame.dtypes.astype(str).to_dict() == columns
    assert _frame([], SCORES).dtypes.astype(str).to_dict() == SCORES


def test_what_is_no_run_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        perdure.open_run(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(perdure.PerdureError, match="so it is no run and no sweep"):
        perdure.open_run(tmp_path / "empty")
    folder = write_run(tmp_path / "damaged", whole_run()[1:])
    with pytest.raises(RuntimeError, match="its beginning is missing"):
        perdure.open_run(folder).scores()
