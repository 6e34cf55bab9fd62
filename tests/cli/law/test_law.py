"""`perdure law`: what it prints, draws, saves and refuses."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from perdure.agent.law_data.dataset import read_dataset
from perdure.agent.law_data.findings import Findings, best_method, compute_findings, rank_methods
from perdure.agent.run.event import Event
from perdure.budget.errors import DataError
from perdure.budget.law.file import load_law
from perdure.budget.law.frontier import RetentionAt
from perdure.budget.law.resample import Interval
from perdure.cli.commands.law import law_command
from perdure.cli.errors import DONE, USER, guarded
from perdure.cli.law.as_json import law_object
from perdure.cli.law.plots import draw_all, places_figure
from perdure.cli.law.report import law_report
from perdure.cli.law.terminal_plot import terminal_plot
from perdure.cli.views.symbols import ASCII, UNICODE
from perdure.cli.views.text_table import Form
from tests.cli.journals import Clock, commit, estimate, scores, write_run

ABOUT = {"format": 1, "world": "vision", "base_id": "b1", "unit": "token", "prompts": "task", "sweep": "s"}
EVIL = "\x1b[31m_$x_"
HEAVY = ("torch", "scipy", "numpy", "matplotlib", "plotext", "pyarrow", "transformers")


def rows(
    methods: Sequence[str] = ("sft", "rl"), runs: int = 6, checkpoints: int = 4, probe: bool = False
) -> list[dict[str, Any]]:
    """Checkpoints on one line for all methods: forgetting is 0.02 + 0.1 KL, accuracy 0.9 + 0.02 KL."""
    found = []
    for run in range(runs * len(methods)):
        for checkpoint in range(1, checkpoints + 1):
            kl = checkpoint * (run + 1) / 10
            figures = {"forgetting": 0.02 + 0.1 * kl, "accuracy": 0.9 + 0.02 * kl, "mass": 0.9, "base_mass": 0.8}
            about = {"cell": f"c{run}", "seed": 0, "method": methods[run % len(methods)], "base_score.fashion": 0.7}
            about |= {"base_entropy": 0.5, "base_entropy_most": 1.6}
            about |= {"kl_base_to_policy_generic": 0.3 * kl * (1 + run % 3)} if probe else {}
            found.append({**about, **figures, "kl_base_to_policy": kl, "total_variation": (kl + run / 99) % 0.7})
    return found


def write_table(path: Path, some: Sequence[Mapping[str, Any]], **about: Any) -> Path:
    told = ABOUT | {"benchmarks": ["fashion"]} | about
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([dict(row) for row in some])
    pq.write_table(table.replace_schema_metadata({"perdure": json.dumps(told)}), path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("law") / "t.parquet", rows(("sft", EVIL)))


@pytest.fixture(scope="module")
def findings(table: Path) -> Findings:
    return compute_findings(read_dataset([table]), (0.95, 0.999), lambda words: None)


def told(findings: Findings, form: Form | None = None) -> list[str]:
    return [line.plain.rstrip() for line in law_report(findings, form or Form(ASCII))]


def test_the_report_tells_all(findings: Findings) -> None:
    lines = told(findings)
    text = "\n".join(lines)
    assert text.isascii()
    assert lines[0] == "the law of 48 checkpoints of 12 runs and 2 methods"
    assert "  forgetting  mean drop of fashion, on which the base scores 70.0 %" in lines
    assert "  KL          forward KL, nats, on the prompts called `task`" in lines
    # all checkpoints lie on one line, so every curve explains all of it wherever it is fitted
    assert "  line       1.000 [1.000, 1.000]  1.000 [1.000, 1.000]  1.000 [1.000, 1.000]" in lines
    assert any(line.split()[:4] == ["forward", "KL", "1", "1.000"] for line in lines)
    assert "  forward KL is first by the quadratic fit, first by the monotone fit" in lines
    assert "one curve for all methods? none is off it" in lines
    # KL from 1 * 1 / 10 to 4 * 12 / 10; of 12 runs no interval can promise more than 11 / 13
    assert "  fitted between 0.100 and 4.800 (forward KL, nats); beyond, it says so" in lines
    assert "  made for 84.6 % of new runs' checkpoints; it covered " in text
    # a quarter of the way along the range: 0.1 + 0.25 * 4.7 = 1.275, and 0.02 + 0.1275 is forgotten
    assert re.search(r"at KL 1.275: predicted forgetting 14\.[78] points \[\d", text)


def test_the_kl_of_policies_that_act_is_per_decision_and_names_their_bins(tmp_path: Path) -> None:
    about = {"world": "control", "base_id": "bins 21, action_repeat 5: b1"}
    dataset = read_dataset([write_table(tmp_path / "t.parquet", rows(), **about)])
    lines = told(compute_findings(dataset, (0.95,), lambda words: None))
    kl = "forward KL, nats a decision at bins 21, action_repeat 5"
    assert f"  KL          {kl}, on the prompts called `task`" in lines
    assert f"  fitted between 0.100 and 4.800 ({kl}); beyond, it says so" in lines


def test_what_is_kept_at_an_accuracy(findings: Findings) -> None:
    lines = told(findings)
    at = lines.index("kept on the benchmarks, points, at 95 % on the new task")
    # 95 % is reached from KL 2.5 on. Of sft (KL 1, 2, 3 and 4 times 0.1, 0.3, … 1.1) that is 2.7: 0.7 - 0.02 - 0.27
    sft = next(line for line in lines[at + 2 : at + 4] if line.startswith("  sft")).split("  ")
    assert [cell for cell in sft if cell][2].startswith("41.0")
    # none reaches 99.9 %: the most is 0.9 + 0.02 * 4.8
    assert lines[lines.index("kept on the benchmarks, points, at 99.9 % on the new task") + 1] == (
        "  n/a: no checkpoint reaches it"
    )


def test_the_excess_is_over_the_floor(findings: Findings) -> None:
    lines = told(findings)
    row = next(
        line for line in lines[lines.index("KL above its floor, nats, mean over all checkpoints") :] if "sft" in line
    )
    # 0.8 ln(0.8 / 0.9) + 0.2 ln(0.2 / 0.1) = 0.0444; KL is 2.5 * (1, 3, … 11) / 10, which is 1.5 in the mean
    assert row.split()[:5] == ["sft", "24", "6", "1.500", "0.044"]
    assert row.split()[5] == "1.456"


def test_names_cannot_steer_the_terminal(findings: Findings) -> None:
    for form in (Form(ASCII), Form(UNICODE, 80)):
        text = "\n".join(told(findings, form))
        assert "\x1b" not in text
        assert "\\x1b[31m_$x_" in text


def test_tables_fit_a_terminal(findings: Findings) -> None:
    text = told(findings, Form(UNICODE, 80))
    head = next(line for line in text if line.startswith("  predictor"))
    assert head.split() == ["predictor", "rank", "R²,", "quadratic", "less", "forward", "KL"]
    assert all(len(line) <= 80 for line in text if "[" in line and "covered" not in line)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_plot_in_the_terminal_fits_and_names_the_methods(findings: Findings, width: int) -> None:
    lines = terminal_plot(findings, width)
    assert all(line.cell_len <= width for line in lines)
    text = "\n".join(line.plain for line in lines)
    assert "● sft" in text
    assert "\x1b" not in text
    assert "forward KL, nats" in text


def test_a_terminal_too_narrow_for_a_plot(findings: Findings) -> None:
    assert terminal_plot(findings, 39) == []


def test_off_a_terminal_plain_text_without_a_plot(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law_command([table], [0.95], [], False, None, None)
    said = capsys.readouterr()
    assert said.out.isascii()
    assert "forgetting, points" not in said.out
    assert not any(line.endswith(" ") for line in said.out.splitlines())
    assert [line[9:] for line in said.err.splitlines()][:2] == ["reading the checkpoints", "fitting the curves"]


def test_json_is_one_strict_object(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law_command([table], [0.95], [], True, None, None)
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (found["points"], found["runs"], found["benchmarks"]) == (48, 12, ["fashion"])
    assert found["base_score"] == pytest.approx(0.7)
    assert (found["base_entropy"], found["base_entropy_most"]) == pytest.approx((0.5, 1.6))
    assert (found["law"]["base_entropy"], found["law"]["base_entropy_most"]) == pytest.approx((0.5, 1.6))
    # the coefficients of 1 and KL
    assert found["curves"]["line"]["powers"] == pytest.approx([0.02, 0.1])
    assert found["curves"]["monotone"]["knots"]["kl"][0] == pytest.approx(0.1)
    assert found["curves"]["quadratic"]["r2"]["value"] == pytest.approx(1)
    assert found["predictors"][0]["predictor"] == "kl_base_to_policy"
    assert found["predictors"][0]["fits"]["quadratic"]["rank"] == 1
    assert found["verdict"] == {"quadratic": "first", "monotone": "first"}
    assert found["common_curve"]["one_curve"] is True
    assert found["law"]["base"] == "b1"
    assert found["no_law"] is None
    assert {one["method"] for one in found["retention"]} == {"sft", EVIL}
    assert found["excess_at"][0]["accuracy"] == 0.95


def test_the_saved_law_predicts(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "law.json"
    law_command([table], [], [], False, None, path)
    saved = load_law(path)
    assert saved.predict(1.0).value == pytest.approx(0.12)
    assert (saved.world, saved.base, saved.benchmarks, saved.prompts) == ("vision", "b1", ("fashion",), "task")
    assert f"wrote the law to {path}" in capsys.readouterr().err


def test_what_is_written_is_the_same_twice(findings: Findings, table: Path, tmp_path: Path) -> None:
    law_command([table], findings.accuracies, [], True, tmp_path / "one", None)
    (tmp_path / "two").mkdir()
    drawn = draw_all(findings, tmp_path / "two")
    assert {path.name for path in drawn} == {
        f"{name}.{kind}" for name in ("frontier", "law", "predictors") for kind in ("png", "svg")
    }
    for path in drawn:
        first = (tmp_path / "one" / path.name).read_bytes()
        assert first == path.read_bytes()
        assert first.startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")
    assert json.loads((tmp_path / "one" / "report.json").read_text())["points"] == 48


def test_too_few_runs_for_an_interval_still_give_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = [{key: value for key, value in row.items() if key != "mass"} for row in rows(("sft",), runs=3)]
    path = write_table(tmp_path / "t.parquet", bare)
    law_command([path], [0.95], [], False, None, None)
    text = capsys.readouterr().out
    assert "n/a: a law to save needs at least 6 runs" in text
    assert "n/a: the probability of success is not known" in text
    assert guarded(lambda: law_command([path], [0.95], [], False, None, tmp_path / "law.json")) == USER
    assert "there is no law to save" in capsys.readouterr().err
    assert not (tmp_path / "law.json").exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda row: row | {"kl_base_to_policy": 0.5}, "kl_base_to_policy is 0.5 at all 48 checkpoints"),
        (lambda row: row | {"kl_base_to_policy": float("nan")}, "the law needs at least"),
        (lambda row: row | {"cell": "one"}, "of 2 runs"),
    ],
)
def test_what_no_law_can_be_fitted_to(
    change: Any, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_table(tmp_path / "t.parquet", [change(row) for row in rows()])
    assert guarded(lambda: law_command([path], [0.95], [], False, None, None)) == USER
    said = capsys.readouterr()
    *phases, last = said.err.splitlines()
    assert (said.out, phases[0][9:]) == ("", "reading the checkpoints")
    assert fault in last and not any(fault in one for one in phases)


@pytest.mark.parametrize("accuracy", [0.0, -1.0, 95.0, float("nan")])
def test_an_accuracy_is_a_share(accuracy: float, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: law_command([table], [accuracy], [], False, None, None)) == USER
    assert "--accuracy: a share between 0 and 1" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert guarded(lambda: law_command([table], [], [], False, tmp_path / "file" / "out", None)) == USER
    assert "cannot write" in capsys.readouterr().err


def test_runs_and_sweeps_go_by_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "sweeps" / "one" / "results.parquet", rows())
    law_command([Path("one")], [], [], True, None, None)
    assert json.loads(capsys.readouterr().out)["sources"] == [str(Path("sweeps/one/results.parquet"))]
    assert guarded(lambda: law_command([Path("none")], [], [], True, None, None)) == USER
    assert "none does not exist" in capsys.readouterr().err


def test_an_unfinished_sweep_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in range(12):
        some = [row for row in rows() if row["cell"] == f"c{run}"]
        write_table(tmp_path / "s" / "cells" / f"c{run}.parquet", some)
    (tmp_path / "s" / "sweep.json").write_text(json.dumps({"cells": [{}] * 20}))
    law_command([tmp_path / "s"], [], [], False, None, None)
    assert f"  note        {tmp_path / 's'} is not finished: 12 of 20 cells so far" in capsys.readouterr().out


def language_run(number: int) -> list[Event]:
    """A run of one stage whose KL is a tenth of its number, and which forgets a tenth of that."""
    at, kl = Clock(), (number + 1) / 10
    start = at("started", run=f"r{number}", tasks=["even"], benchmarks=["arith"], base_sha256="abc")
    names = (("even", "task"), ("arith", "benchmark"))
    figures = {"cap": 1.0, "unit": "token", "within": True, "entry": False, "final": True}
    kls = {"kl_per_token": estimate(kl), "kl_per_sequence": estimate(20 * kl)}
    reading = at("reading", stage=1, step=60, **kls, **figures)
    after = scores(at, 1, (0.8, 0.9 - kl / 10), names)
    return [start, *scores(at, 0, (0.2, 0.9), names), reading, *after, commit(at, 1, "even", "sft")]


def test_a_law_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [write_run(tmp_path / f"r{number}", language_run(number)) for number in range(8)]
    law_command(folders, [0.8], [], True, None, None)
    found = json.loads(capsys.readouterr().out)
    assert (found["world"], found["base"], found["unit"], found["methods"]) == ("language", "abc", "token", ["sft"])
    assert found["curves"]["line"]["powers"] == pytest.approx([0.0, 0.1])
    # at 80 % the least KL is 0.1, which costs a point of the base's 90
    assert found["retention"][0]["best"]["value"] == pytest.approx(0.89)
    assert found["base_score"] == pytest.approx(0.9)


def test_a_terminal_gets_colours_and_a_plot(findings: Findings) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90, highlight=False)
    for line in law_report(findings, Form(UNICODE, 90), terminal_plot(findings, 90)):
        console.print(line)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "┤" in text
    assert "\x1b[31m_" not in text


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; import perdure.cli.main, perdure.cli.commands.law\n"
        f"sys.stdout.write(str([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]"
    assert DONE == 0


def with_seeds(tmp_path: Path) -> Path:
    """The rows of `rows` in two seeds, whose forgetting differs by a point; a checkpoint of each is NaN."""
    some = []
    for seed in (0, 1):
        some += [row | {"seed": seed, "forgetting": row["forgetting"] + seed / 100} for row in rows(checkpoints=5)]
        some.append(some[-1] | {"kl_base_to_policy": float("nan"), "cell": "broken"})
    return write_table(tmp_path / "t.parquet", some)


def test_several_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = with_seeds(tmp_path)
    law_command([path], [0.95], [], False, None, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the law of 122 checkpoints of 26 runs and 2 methods in 2 seeds"
    head = next(line for line in lines if line.startswith("  curve"))
    assert "on held-out runs" in head
    assert "on held-out seeds" in head
    # the checkpoints of 12 runs in each seed, without the two that are no numbers
    assert any(line.endswith("of 120 checkpoints of 24 runs of a seed that was held out") for line in lines)
    at = lines.index("kept on the benchmarks, points, at 95 % on the new task")
    # the least KL of sft at 95 % is 2.5 (5 checkpoints of 0.5): 0.7 - 0.02 - 0.25 = 43 and 42 points, so 42.5 with
    # an error of half a point and t(1) = 12.706
    sft = next(line for line in lines[at + 2 : at + 4] if line.startswith("  sft"))
    assert "42.5 [36.1, 48.9]" in sft
    assert "2 of 2" in sft
    law_command([path], [0.95], [], True, tmp_path / "out", None)
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == 2
    assert {one["seed"] for one in found["frontiers"]} == {"0", "1"}
    (behind,) = found["behind"][0]["methods"]
    # the difference of the two is the same in both seeds
    assert behind["best"]["low"] == pytest.approx(behind["best"]["value"]) == pytest.approx(behind["best"]["high"])
    assert found["law"]["coverage_seeds"]["runs"] == 24


def test_the_best_is_one_of_those_that_most_seeds_reach() -> None:
    def one(method: str, kept: float, reached: int) -> RetentionAt:
        return RetentionAt(method, 0.95, Interval(kept, None, None), Interval(kept, None, None), reached, 5)

    found = rank_methods([one("a", 0.6, 5), one("lucky", 0.8, 2), one("b", 0.7, 5)], 0.95)
    assert [each.method for each in found] == ["lucky", "b", "a"]
    assert best_method(found).method == "b"


def test_excess_is_compared_at_equal_accuracy(findings: Findings) -> None:
    # from 95 to 96 %: accuracy is 0.9 + 0.02 KL, so KL from 2.5 to 3. sft has 0.7 · 4 and 0.9 · 3 there: 2.75
    (at, _) = findings.excess_at
    assert next(one for one in at if one.method == "sft").kl.value == pytest.approx(2.75)


def test_a_checkpoint_that_is_no_number_does_not_hide_where_the_quadratic_turns(tmp_path: Path) -> None:
    # forgetting 0.2 KL - 0.02 KL², which turns over at KL 5
    some = [
        row | {"forgetting": 0.2 * row["kl_base_to_policy"] - 0.02 * row["kl_base_to_policy"] ** 2}
        for row in rows(runs=9)
    ]
    some.append(some[-1] | {"kl_base_to_policy": float("nan"), "cell": "broken"})
    found = compute_findings(read_dataset([write_table(tmp_path / "t.parquet", some)]), (), lambda words: None)
    assert "  the quadratic turns over at KL 5.000 and falls from there on" in told(found)


def test_a_law_of_two_predictors_is_reported_and_drawn(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", rows(probe=True), model="a model")
    found = compute_findings(read_dataset([path]), (), lambda words: None, "both")
    lines = told(found)
    # all lies on one line of the KL on the task; the probe tells less alone, and beside it takes nothing away
    task, generic, two = (
        next(line for line in lines if line.startswith(f"  {name}"))
        for name in ("forward KL on the task  ", "forward KL, generic  ", "both, added  ")
    )
    assert task.split()[5] == two.split()[2] == "1.000"
    assert float(generic.split()[3]) < 0.95
    assert "  by both, added (--predictor both)" in lines
    assert "  fitted between 0.100 and 4.800 (forward KL, nats), and 0.030 and 4.320 on the generic probe" in "\n".join(
        lines
    )
    assert found.law is not None
    assert (found.law.predictor, found.law.model) == ("both", "a model")
    report = law_object(found)
    assert [place["predictor"] for place in report["places"]] == ["task", "generic", "both"]
    assert report["law"]["predictor"] == report["predictor"] == "both"
    panels = places_figure(found).axes
    assert [axes.get_title().split(":")[0] for axes in panels] == [
        "forward KL on the task",
        "forward KL, generic",
        "both, added",
    ]


def test_a_predictor_that_was_not_measured_is_refused(table: Path) -> None:
    with pytest.raises(DataError, match=r"--predictor generic: no checkpoint has the KL on the generic probe"):
        law_command([table], [], [], False, None, None, "generic")
