"""Off a terminal: one plain line an event."""

import io
from pathlib import Path

from rich.console import Console

from perdure.agent.run.lines import from_json
from perdure.cli.views.live import LiveView
from perdure.cli.views.log_lines import describe_progress
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.drawn import state_of, up_to
from tests.cli.journals import START, progress, whole_run, write_run


def test_off_a_terminal_one_line_an_event() -> None:
    file = io.StringIO()
    events = whole_run()
    with LiveView("demo", plain=False, console=Console(file=file, width=40)) as view:
        for event in events:
            view.event(from_json(event))
    lines = file.getvalue().splitlines()
    assert len(lines) == len(events)
    assert file.getvalue().isascii()
    assert all(line[8] == " " and line[2] == line[5] == ":" for line in lines)
    said = [line[9:] for line in lines]
    assert said[0] == "run demo: tasks even, sort, chain; benchmarks arith, copy"
    assert "stage 1/3 even: at the start, KL 0.000 +/- 0.010 of 0.500 nats/token" in said
    assert "stage 1/3 even: rl (pass@8 0.62, 100 % of the budget left)" in said
    assert "stage 2/3 sort: step 60, KL 0.610 +/- 0.010 of 0.500 nats/token, ABOVE THE CAP" in said
    assert "stage 2/3 sort: rolled back to step 40: KL 0.610 above the cap 0.5 nats a token" in said
    assert "stage 3/3 chain: benchmark copy 0.940 +/- 0.040 (n=100), -0.030 since the base" in said
    assert said[-1] == "finished in 2:51"


def test_a_change_is_on_the_items_of_both_as_its_test_is(tmp_path: Path) -> None:
    """Where the reward did not apply to an answer before, the mean of all that were scored now is of other items."""
    file, run = io.StringIO(), write_run(tmp_path / "r", whole_run())
    for stage, scores in ((0, [1.0, 1.0, 0.0, None]), (1, [1.0, 1.0, 0.0, 0.0])):
        items = [ItemResult(str(number), score) for number, score in enumerate(scores)]
        write_scores(run / f"scores/{stage}-even.jsonl", make_score("even", "task", items), {}, items)
    found = {0: {"value": 2 / 3, "n": 3}, 1: {"value": 0.5, "n": 4}}
    with LiveView("demo", plain=True, console=Console(file=file, width=40), run_folder=run) as view:
        for event in whole_run():
            scored = event["event"] == "score" and event["name"] == "even"
            view.event(from_json(event | (found.get(event["stage"], {}) if scored else {})))
    said = [line[9:] for line in file.getvalue().splitlines()]
    assert "stage 1/3 even: task even 0.500 +/- 0.040 (n=4), +0.000 since the base, p = 1.000" in said


def test_plain_on_a_terminal_has_no_escape_codes() -> None:
    file = io.StringIO()
    with LiveView("demo", plain=True, console=Console(file=file, force_terminal=True)) as view:
        for event in whole_run():
            view.event(from_json(event))
    assert "\x1b" not in file.getvalue()


def test_a_dumb_terminal_gets_log_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert LiveView("demo", plain=False, console=console).log is not None


def test_progress_is_logged_every_few_seconds() -> None:
    file = io.StringIO()
    view = LiveView("demo", plain=True, console=Console(file=file))
    view.past(map(from_json, up_to("decision", 2)))
    for step in range(1, 13):
        view.progress(progress(step=step))  # one a second
    lines = [line[9:] for line in file.getvalue().splitlines()]
    # At seconds 1, 6 and 11; at 11 ten steps took ten seconds, 89 to go.
    assert lines == [
        f"stage 2/3 sort: training step {words} to the end of the run"
        for words in (
            "1 of 100, reward 0.700, loss 0.900, about 1:22",  # stage 1 took 41.5 s: 40.5 and 41.5 more
            "6 of 100, reward 0.700, loss 0.900, 1:34 left, about 3:47",  # see `test_time_left.py`
            "11 of 100, reward 0.700, loss 0.900, 1:29 left, about 3:42",
        )
    ]


def test_before_the_run_begins_each_phase_is_a_line() -> None:
    file = io.StringIO()
    view = LiveView("demo", plain=True, console=Console(file=file))
    for phase in ("starting", "reading the tasks", "loading the libraries"):
        view.progress({"phase": phase})
    view.log.beat(view.state, view.state.progress["since"] + 75)  # type: ignore[union-attr]
    view.past(map(from_json, up_to("decision", 2)))
    view.progress({"phase": "preparing the base"})
    assert [line[9:] for line in file.getvalue().splitlines()] == [
        "demo: starting",
        "demo: reading the tasks",
        "demo: loading the libraries",
        "demo: loading the libraries, for 1:15",
        "demo: preparing the base",
    ]


def test_items_are_counted_while_scoring() -> None:
    state = state_of(up_to("reading", 2), phase="scoring", detail="even (1 of 5)", done=24, total=100)
    assert describe_progress(state, START).startswith("stage 2/3 sort: scoring, even (1 of 5), 24 of 100")
