"""The figures of a run: what they are of, and that they are written whole or not at all."""

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from perdure.agent.run.find import read_run
from perdure.agent.run.report import changes
from perdure.agent.run.steps import read_steps
from perdure.budget.errors import RunError
from perdure.cli.commands.plot import plot_command
from perdure.cli.report.curves import bin_size, extremes, known_curves, training_figure
from perdure.cli.report.figures import kl_figure, matrix_figure, retention_figure
from perdure.cli.views.drawing import page_svg
from perdure.curriculum.worlds.nouns import Nouns
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.drawn import folded
from tests.cli.journals import long_run, whole_run, write_run, write_steps


def test_the_matrix_shows_scores_changes_and_marks(tmp_path: Path) -> None:
    record, _ = read_run(write_run(tmp_path / "r", whole_run()))
    axes = matrix_figure(record, changes(record, tmp_path / "r")).axes[0]
    texts = {text.get_position(): text for text in axes.texts}
    assert len(texts) == 4 * 5
    # even after stage 1 (column 0, row 1): 72 %, 51 points more, by 51 items in favour and none against
    assert (texts[0, 1].get_text(), texts[0, 1].get_fontweight()) == ("72\n+51▲", "bold")
    assert (texts[1, 1].get_text(), texts[1, 1].get_fontweight()) == ("46\n+1", "normal")
    np.testing.assert_allclose(axes.images[0].get_array()[1], [51, 1, 0, -2, 0], atol=1e-9)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["even", "sort", "chain", "arith", "copy"]
    assert len(axes.patches) == 3  # what was just learned


def test_the_colour_of_a_change_is_on_the_items_of_both(tmp_path: Path) -> None:
    """As the text of the cell: 72 % of 100 items now, and 21 of 99 before, where the reward did not apply to one."""
    folder = write_run(tmp_path / "r", whole_run())
    items = [ItemResult(str(number), None if number == 99 else float(number < 21)) for number in range(100)]
    now = [ItemResult(one.id, float(number < 20)) for number, one in enumerate(items)]
    for stage, of in ((0, items), (1, now)):
        write_scores(folder / f"scores/{stage}-even.jsonl", make_score("even", "task", of), {}, of)
    record, _ = read_run(folder)
    axes = matrix_figure(record, changes(record, folder)).axes[0]
    # one of the 99 items of both was lost; the journal's two figures are 51 points apart
    assert axes.images[0].get_array()[1, 0] == pytest.approx(-100 / 99)


def test_the_matrix_marks_what_was_asked_in_part_and_is_not_bold_for_that(tmp_path: Path) -> None:
    run = [
        one | {"asked": {"n": 40, "of": 100, "low": -0.1, "high": 0.1}}
        if (one["event"], one.get("stage"), one.get("name")) == ("score", 1, "sort")
        else one
        for one in whole_run()
    ]
    record, _ = read_run(write_run(tmp_path / "r", run))
    axes = matrix_figure(record, changes(record, tmp_path / "r")).axes[0]
    texts = {text.get_position(): text for text in axes.texts}
    assert (texts[1, 1].get_text(), texts[1, 1].get_fontweight()) == ("46\n+1~", "normal")
    assert axes.get_title("left").endswith("; ~: asked in part")


def test_the_kl_goes_on_over_the_stages_with_cap_and_interventions() -> None:
    axes = kl_figure(folded(whole_run())).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    # stages of 60 steps; the last reading of each stands at its end, also where the policy went back; NaN is left out
    assert list(lines["KL"].get_xdata()) == [0, 20, 40, 60, 60, 80, 100, 120, 120, 120, 140, 160, 180]
    assert list(lines["KL"].get_ydata())[-6:] == pytest.approx([0.61, 0.26, 0.2, 0.28, 0.36, 0.36])
    assert set(lines["cap of the stage"].get_ydata()) == {0.5}
    assert [list(lines[name].get_xdata()) for name in ("rolled back", "broken, rolled back")] == [[120], [180]]


def test_the_kl_of_a_priced_stage_stands_beside_the_least_that_the_budget_can_count() -> None:
    run = whole_run()
    rate = {"base_rate": {"value": 0.5, "stderr": 0.1, "n": 8}, "floor_interval": [0.1, 0.9], "remaining_kl": 0.5}
    # floors of 0.2 and 0.6 nats on the prompts of each; on those of both tasks the least is their mean
    told = [(1, "even", 0.2, 0.2), (2, "sort", 0.6, 0.4), (3, "chain", 0.6, None)]
    prices = [
        {"event": "price", "time": 0.0, "stage": stage, "name": name, "target": 0.9, "floor": floor, **rate}
        | {"required_kl": need}
        for stage, name, floor, need in told
    ]
    panel = retention_figure(folded([run[0], *prices, *run[1:]])).axes[1]
    dots = [line.get_ydata()[0] for line in panel.lines if line.get_marker() == "o"]
    bars = [line.get_ydata()[0] for line in panel.lines if line.get_marker() == "_"]
    assert (dots, bars) == (pytest.approx([0.213, 0.26]), [0.2, 0.4])
    assert panel.get_ylabel().startswith("KL, nats/token; bar: the least")


def test_a_run_that_has_hardly_begun_has_figures_too() -> None:
    for count in (1, 2, 7, 9):
        record = folded(whole_run()[:count])
        drawn = [kl_figure(record), retention_figure(record), *([matrix_figure(record, {})] if count > 1 else [])]
        assert all(figure.axes for figure in drawn)


def test_the_training_curves_go_on_over_the_stages_with_every_step(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, [{"loss": 3.0, "learning_rate": 0.1}, {"loss": math.nan}, {"loss": 1.0}])
    write_steps(tmp_path, 2, [{"loss": 9.0, "reward": 0.5}], before=3)
    steps = read_steps(tmp_path)
    assert known_curves(steps) == ["loss", "reward", "learning_rate"]
    figure = training_figure(steps, Nouns())
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "reward", "learning rate"]
    curves = [line.get_xydata().tolist() for line in figure.axes[0].lines if len(line.get_xdata()) != 2]
    np.testing.assert_equal(curves, [[[1, 3], [2, math.nan], [3, 1]], [[4, 9]]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["1 task-1", "2 task-2"]
    assert known_curves(read_steps(tmp_path, stage=3)) == []


def test_of_many_steps_the_extremes_of_each_bin_are_drawn() -> None:
    x, y = np.arange(1, 9), np.array([5.0, 1, 9, 5, math.nan, 4, math.inf, math.nan])
    assert extremes(x, y, 1)[0].tolist() == x.tolist()
    # bins of 3: 5 1 9, least before greatest; 5 nan 4; then none that is finite
    np.testing.assert_equal([one.tolist() for one in extremes(x, y, 3)], [[2, 3, 4, 6, 7], [1, 9, 5, 4, math.nan]])
    assert [bin_size(range(count)) for count in (1200, 1201, 600_000)] == [1, 3, 1000]


def test_a_figure_of_a_page_is_one_element_in_the_colours_of_the_page() -> None:
    record = folded(long_run(12, 10, name="<b>&$x$ "))
    svg = page_svg("matrix", lambda: matrix_figure(record, {}))
    assert svg == page_svg("matrix", lambda: matrix_figure(record, {}))
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "currentColor" in svg
    assert "&lt;b&gt;&amp;$x$ 1" in svg
    assert len(svg) < 400_000


def test_files_are_whole_and_the_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "r", whole_run())
    write_steps(run, 1, [{"loss": 1.0}])
    plot_command(run, None)
    names = [f"{name}.{kind}" for name in ("matrix", "kl", "training") for kind in ("png", "svg")]
    assert capsys.readouterr().out.split() == [str(run / "plots" / name) for name in names]
    assert sorted(path.name for path in (run / "plots").iterdir()) == sorted(names)
    assert (run / "plots/kl.png").read_bytes()[1:4] == b"PNG"
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match=r"taken cannot be written: .*; choose another place with --output"):
        plot_command(run, tmp_path / "taken" / "x")
    with pytest.raises(RunError, match="nothing of demo is scored yet"):
        plot_command(write_run(tmp_path / "empty", whole_run()[:1]), tmp_path / "x")
    assert not (tmp_path / "x").exists()
