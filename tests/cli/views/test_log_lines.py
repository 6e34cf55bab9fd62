"""Off a terminal: one plain line an event."""

import io

from rich.console import Console

from perdure.agent.run.lines import from_json
from perdure.cli.views.live import LiveView
from tests.cli.drawn import up_to
from tests.cli.journals import progress, whole_run


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
        "stage 2/3 sort: training step 1 of 100, reward 0.700, loss 0.900",
        "stage 2/3 sort: training step 6 of 100, reward 0.700, loss 0.900, 1:34 left",
        "stage 2/3 sort: training step 11 of 100, reward 0.700, loss 0.900, 1:29 left",
    ]
