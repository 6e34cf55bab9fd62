"""A view says what its run's world has: decisions and episodes, images and labels, and the bins on which KL depends."""

import io
from pathlib import Path

from rich.console import Console

from perdure.agent.run.events import Noticed, Unscored
from perdure.agent.run.lines import from_json
from perdure.agent.run.notice_words import describe_notice
from perdure.cli.report.page import run_page
from perdure.cli.views.describe import describe_unscored
from perdure.cli.views.live import LiveView, live
from perdure.cli.views.run_report import run_report
from perdure.cli.views.symbols import ASCII, UNICODE
from perdure.curriculum.worlds.registry import nouns_of
from tests.cli.drawn import plain, seen, state_of
from tests.cli.journals import START, Line, whole_run, write_run

SETTINGS = "bins 21, action_repeat 5"


def a_run() -> list[Line]:
    """`whole_run` in the control world."""
    first, *rest = whole_run()
    return [first | {"world": "control", "base_id": f"{SETTINGS}: 00ff"}, *rest]


def test_the_live_view() -> None:
    for width in (80, 120):
        shown = plain(live(state_of(a_run()[:-1], stage=3), START, UNICODE, width, 24))
        assert f"demo ({SETTINGS})" in shown
        assert "0.360 ± 0.010 of 0.500 nats/decision" in shown
        assert all(len(line) <= width for line in shown.splitlines())


def test_the_log() -> None:
    file = io.StringIO()
    with LiveView("demo", plain=True, console=Console(file=file)) as view:
        for event in a_run():
            view.event(from_json(event))
    assert f"benchmarks arith, copy; KL at {SETTINGS}\n" in file.getvalue()
    assert "step 60, KL 0.610 +/- 0.010 of 0.500 nats/decision, ABOVE THE CAP" in file.getvalue()


def test_the_report() -> None:
    shown = plain(run_report(seen(a_run()), {}, ASCII, 100))
    assert shown.startswith(f"demo ({SETTINGS}) - 3 of 3 stages")
    assert "0.213 +/- 0.010 of 0.500 nats/decision; 4.260 +/- 0.200 nats/episode" in shown


def test_the_page(tmp_path: Path) -> None:
    page = run_page(write_run(tmp_path / "r", a_run()))
    assert "0.213 ± 0.010 of 0.500 nats/decision" in page
    assert "<h2>New success against retention</h2>" in page
    assert "nats/token" not in page


def test_images_have_one_unit_and_labels(tmp_path: Path) -> None:
    first, *rest = whole_run()
    run = [first | {"world": "vision"}, *rest]
    assert "0.213 +/- 0.010 of 0.500 nats/image\n" in plain(run_report(seen(run), {}, ASCII, 100))
    page = run_page(write_run(tmp_path / "r", run))
    assert "0.213 ± 0.010 of 0.500 nats/image" in page
    assert not any(word in page for word in ("nats/token", "nats/sequence", "prompts", "nswers before"))
    notice = Noticed(stage=1, notice="equal_rewards", count=3, of=4)
    assert describe_notice(notice, nouns_of("vision")).startswith("3 of 4 groups of labels taught nothing")


def test_notices() -> None:
    nouns = nouns_of("control")
    notice = Noticed(stage=1, notice="equal_rewards", count=3, of=4)
    assert describe_notice(notice, nouns) == (
        "3 of 4 groups of episodes taught nothing: the rewards in each were equal"
    )
    unscored = Unscored(stage=1, task="lift", phase="learning", answers={"decision 3: ValueError": 1})
    assert describe_unscored(unscored, nouns) == ("1 episode of 'lift' counted 0 in training: 1 decision 3: ValueError")
