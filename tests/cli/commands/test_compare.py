"""Runs side by side, and runs in the formats of other programs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.compare import Comparison, Value, compare_runs
from perdure.budget.errors import RunError
from perdure.cli.commands.compare import compare_command
from perdure.cli.commands.show import show_command
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.journals import Line, whole_run, write_run

UNFINISHED = "two is not finished: its figures are those after stage 2 of 3"
OTHER_PROMPTS = "the KL of two is on other prompts or in another unit than that of one"


def begun(run: list[Line], **fields: Any) -> list[Line]:
    """A run with more in its first event."""
    return [run[0] | fields, *run[1:]]


def other_run(**fields: Any) -> list[Line]:
    """`whole_run` with 79 right answers to `even` in place of 68 at the end."""
    events = begun(whole_run(), **fields)
    return [
        one | {"value": 0.79} if (one.get("stage"), one.get("name")) == (3, "even") and "value" in one else one
        for one in events
    ]


def pair(folder: Path, first: list[Line] | None = None, second: list[Line] | None = None) -> Comparison:
    one, two = write_run(folder / "one", first or whole_run()), write_run(folder / "two", second or other_run())
    return compare_runs([one, two])


def second(found: Comparison, name: str) -> Value:
    return next(figure.values[1] for figure in found.figures if figure.name == name)


def test_scores_are_tested_on_the_same_items(tmp_path: Path) -> None:
    found = pair(tmp_path)
    # 68 and 79 of the same 100 items: 11 gained, none lost, p = 2 / 2^11
    change = second(found, "even").change
    assert change is not None
    assert (change.difference, change.p_value, change.n) == (pytest.approx(0.11), pytest.approx(2 / 2**11), 100)
    assert second(found, "sort").difference == 0
    # (0.79 - 0.68) / 3
    assert second(found, "average_accuracy").difference == pytest.approx(0.11 / 3)
    assert (found.notes, dict(found.settings)) == ((), {})


def test_kl_is_named_with_the_bins_that_it_depends_on(tmp_path: Path) -> None:
    acted = {"curriculum": {"budget": {"unit": "token"}}, "world": "control"}
    acting = acted | {"base_id": "bins 21, action_repeat 5: 00ff"}
    coarse = acted | {"base_id": "bins 5, action_repeat 5: 00ff"}
    for name, other, label in (("same", acting, " at bins 21, action_repeat 5"), ("other", coarse, "")):
        found = pair(tmp_path / name, begun(whole_run(), **acting), other_run(**other))
        figure = next(one for one in found.figures if one.kind == "kl")
        assert figure.name == f"KL, nats/decision{label}"
        assert (figure.values[1].difference is None) == bool(found.notes) == (name == "other")


def test_what_differs_in_the_curricula_is_named(tmp_path: Path) -> None:
    settings = {"budget": {"kl": 0.5, "unit": "token"}, "stages": [{"name": "even", "train": {"beta": 0}}]}
    longer = {**settings, "budget": {"kl": 1.0, "unit": "token"}, "stages": [{"name": "even", "train": {}}], "seed": 3}
    first, other = begun(whole_run(), curriculum=settings), other_run(curriculum=longer, versions={"torch": "3"})
    assert pair(tmp_path, first, other).settings == {
        "budget.kl": (0.5, 1.0),
        "stages[0].train.beta": (0, None),
        "seed": (None, 3),
        "versions.torch": (None, "3"),
    }


def test_a_stage_that_is_still_scored_is_not_compared(tmp_path: Path) -> None:
    run = other_run()
    events = [(one["event"], one.get("stage"), one.get("name")) for one in run]
    scored = events.index(("score", 3, "chain"))
    found = pair(tmp_path, second=run[: scored + 1])  # all tasks of stage 3 are scored, and no benchmark
    assert found.notes == (UNFINISHED, OTHER_PROMPTS)
    # R[2, even] = 0.70 against R[3, even] = 0.68; metrics of two stages are not those of three
    assert second(found, "even").value == 0.70
    average = second(found, "average_accuracy")
    assert (average.value, average.difference) == (pytest.approx((0.70 + 0.81) / 2), None)
    assert average.reason == "after another number of stages"


def test_runs_of_different_bases(tmp_path: Path) -> None:
    first = begun(whole_run(), base_id="a" * 64, resolved={"base": "org/small"})
    found = pair(tmp_path, first, other_run(base_id="b" * 64))
    assert found.notes == (
        "two began from another base than one (org/small aaaaaaaaaaaa and bbbbbbbbbbbb): "
        "changes since it are not compared",
    )
    assert (second(found, "benchmark_drop").difference, second(found, "benchmark_drop").reason) == (
        None,
        "another base",
    )
    kl = next(figure for figure in found.figures if figure.kind == "kl")
    assert (kl.values[1].difference, kl.values[1].reason) == (None, "another base, prompts or unit")
    assert second(found, "even").difference == pytest.approx(0.11)  # the items are the same


@pytest.mark.parametrize(
    ("prompts", "tasks", "stages", "same"),
    [
        ("seen", ["even", "sort", "chain"], 3, True),
        ("seen", ["sort", "even", "chain"], 3, True),  # in another order, the same three
        ("seen", ["even", "sort", "other"], 3, False),
        ("seen", ["even", "sort", "chain"], 2, False),  # two tasks are seen, and not three
        ("task", ["other", "sort", "chain"], 3, True),
        ("task", ["even", "sort", "other"], 3, False),
        ("generic", ["other", "sort", "chain"], 2, True),
    ],
)
def test_kls_on_prompts_of_other_tasks_are_not_compared(
    prompts: str, tasks: list[str], stages: int, same: bool, tmp_path: Path
) -> None:
    curriculum = {"budget": {"prompts": prompts, "unit": "token"}}
    events = begun(other_run(), curriculum=curriculum, tasks=tasks)
    cut = next((i for i, one in enumerate(events) if one.get("stage", 0) > stages), len(events))
    found = pair(tmp_path, begun(whole_run(), curriculum=curriculum), events[:cut])
    kl = next(figure for figure in found.figures if figure.kind == "kl")
    assert [(value.difference is not None, value.reason) for value in kl.values[1:]] == [
        (same, None if same else "another base, prompts or unit")
    ]
    assert (OTHER_PROMPTS in found.notes, UNFINISHED in found.notes) == (not same, stages == 2)


@pytest.mark.parametrize(("first", "other", "same"), [("a", "a", True), ("a", "b", False), (None, None, False)])
def test_kls_on_other_generic_texts_are_not_compared(
    first: str | None, other: str | None, same: bool, tmp_path: Path
) -> None:
    """An older journal does not say what the file held (`None`)."""
    curriculum = {"budget": {"prompts": "generic", "unit": "token", "generic": "texts.jsonl"}}
    one, two = (begun(whole_run(), curriculum=curriculum, probe=probe) for probe in (first, other))
    kl = next(figure for figure in pair(tmp_path, one, two).figures if figure.kind == "kl")
    assert (kl.values[0].reason, kl.values[1].difference is not None) == (None, same)


def test_runs_of_different_items_or_damaged_files(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", whole_run()), write_run(tmp_path / "two", other_run())
    items = [ItemResult(f"other {n}", 1.0) for n in range(100)]
    write_scores(two / "scores/3-even.jsonl", make_score("even", "task", items), {}, items)
    (two / "scores/3-sort.jsonl").write_text("half a li")
    found = compare_runs([one, two])
    assert second(found, "even") == Value(0.79, reason="other items than in one")
    assert second(found, "sort").reason == "its score file is missing or damaged"
    reason = "other items, or score files that are missing or damaged"
    assert (second(found, "forgetting").difference, second(found, "forgetting").reason) == (None, reason)
    assert second(found, "chain").difference == 0


def test_runs_of_other_tasks_and_one_that_is_not_finished(tmp_path: Path) -> None:
    cut = next(i for i, event in enumerate(whole_run()) if event["event"] == "decision" and event["stage"] == 3)
    fewer = [begun(whole_run(), benchmarks=["arith", "other"])[0], *whole_run()[1:cut]]
    found = pair(tmp_path, None, fewer)
    assert found.notes == (
        UNFINISHED,
        OTHER_PROMPTS,
        "two and one have different benchmarks: copy, other in one of them alone",
    )
    assert second(found, "average_accuracy").reason == "after another number of stages"
    assert second(found, "other").reason == "not scored"


def test_one_run_or_nothing_scored_is_refused(tmp_path: Path) -> None:
    run, empty = write_run(tmp_path / "one", whole_run()), write_run(tmp_path / "two", whole_run()[:1])
    with pytest.raises(RunError, match="compare takes two runs or more"):
        compare_runs([run])
    with pytest.raises(RunError, match="two: nothing is scored yet, so there is nothing to compare"):
        compare_runs([run, empty])


def printed(folder: Path, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    runs = [write_run(folder / "o_ne", whole_run()), write_run(folder / "two", other_run(curriculum={"a": "x|y & z"}))]
    compare_command(runs, form)
    return capsys.readouterr().out


def test_every_format_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = printed(tmp_path / "1", "table", capsys)
    assert "even" in table
    assert "+11.0* [+" in table
    assert "p = 0.001" in table
    rows = list(csv.DictReader(io.StringIO(printed(tmp_path / "2", "csv", capsys))))
    even = next(row for row in rows if (row["name"], row["run"]) == ("even", "two"))
    assert (even["kind"], float(even["difference"]), even["n"]) == ("task", pytest.approx(0.11), "100")
    markdown = printed(tmp_path / "3", "markdown", capsys)
    assert "| a         | (not there) | 'x\\|y & z' |" in markdown
    latex = printed(tmp_path / "4", "latex", capsys)
    assert r"o\_ne" in latex
    assert r"'x|y \& z'" in latex
    found = json.loads(printed(tmp_path / "5", "json", capsys))
    assert (found["titles"], found["settings"]) == (["o_ne", "two"], {"a": [None, "x|y & z"]})


def in_part(run: list[Line], stage: int) -> list[Line]:
    """The run with a part of the items of `even` asked after a stage: 40 of 100."""
    asked = {"n": 40, "of": 100, "low": -0.1, "high": 0.1}
    return [
        one | {"n": 40, "asked": asked} if (one["event"], one.get("stage"), one.get("name")) == ("score", stage, "even")
        else one
        for one in run
    ]  # fmt: skip


def test_a_score_asked_in_part_is_marked_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo", in_part(whole_run(), 2))
    show_command(run, False, "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["even n"], row["even of"]) for row in rows] == [("100", "100")] * 2 + [("40", "100"), ("100", "100")]
    show_command(run, False, "markdown")
    assert "70 (+49*~)" in capsys.readouterr().out


def test_a_comparison_marks_what_was_asked_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / "one", whole_run()), write_run(tmp_path / "two", in_part(whole_run(), 3))]
    compare_command(runs, "csv")
    rows = {(row["name"], row["run"]): row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    told = [(rows["even", run]["asked"], rows["even", run]["of"]) for run in ("one", "two")]
    assert told == [("", ""), ("40", "100")]
    compare_command(runs, "markdown")
    text = capsys.readouterr().out
    assert "| 68.0~ " in text and "; ~: asked in part" in text
    compare_command([runs[0], runs[0]], "markdown")
    assert "~" not in capsys.readouterr().out


@pytest.mark.parametrize("form", ["csv", "markdown", "latex"])
def test_a_run_in_the_formats_of_others(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_command(write_run(tmp_path / "demo", whole_run()), False, form)
    text = capsys.readouterr().out
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["stage"] for row in rows] == ["0", "1", "2", "3"]
        assert (rows[1]["even"], rows[1]["even n"], float(rows[1]["even change"])) == (
            "0.72",
            "100",
            pytest.approx(0.51),
        )
        assert float(rows[1]["even p"]) == pytest.approx(2 / 2**51)
        assert rows[2]["interventions"].startswith("rolled back to step 40: KL 0.610 above the cap")
    else:
        end = "\\\\" if form == "latex" else "|"
        (line,) = (line for line in text.splitlines() if "72 (+51*)" in line)
        assert [cell.strip() for cell in line.strip("| \\").split("&" if form == "latex" else "|")][:5] == [
            *("1", "even", "rl", "0.213", "72 (+51*)"),
        ]
        assert line.endswith(end)
        assert "average accuracy" in text
