"""The live view and the last picture: complete, fitting any terminal, drawn once."""

import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from perdure.agent.run.lines import from_json
from perdure.cli.views.live import LiveView, final, live
from perdure.cli.views.state import with_progress
from perdure.cli.views.symbols import ASCII, UNICODE, Symbols
from perdure.eval.metrics import MetricEstimate
from tests.cli.drawn import plain, seen, state_of, up_to
from tests.cli.journals import START, long_run, progress, whole_run, write_run


def test_live_view_tells_all_of_a_stage() -> None:
    state = with_progress(state_of(up_to("intervention", 2), step=2), progress(step=48))
    lines = live(state, state.last + 10, UNICODE, 80, 24)
    text = plain(lines)
    assert "stage 2 of 3 · running" in text
    assert "sort  by sft" in text
    assert "why     pass@8 0.91 but 88 % of the budget spent" in text
    # Step 2 at second 2, step 48 at second 48: one second a step, 52 steps to go.
    assert "48 of 100 · 0:52 left" in text
    assert "0.610 ± 0.010 of 0.500 nats/token  above the cap" in text
    assert "reward  ▁▂▅▆█ 0.700" in text
    assert "2 sort: rolled back to step 40: KL 0.610 above the cap 0.5 nats a token" in text
    assert "▸2 sort   sft ↺" in text


@given(st.integers(0, len(whole_run())), st.integers(40, 200), st.integers(5, 60), st.sampled_from([UNICODE, ASCII]))
@settings(max_examples=80, deadline=None)
def test_any_prefix_fits_any_terminal(count: int, width: int, height: int, symbols: Symbols) -> None:
    state = seen(whole_run()[:count])
    scoring = {"phase": "scoring", "stage": 3, "time": START}
    for now in (state, with_progress(state, progress()), with_progress(state, scoring)):
        panel = live(now, START + 500, symbols, width, height)
        assert len(panel) <= height
        for line in [*panel, *final(now, {"forgetting": MetricEstimate(0.1, 0.1, 0.0, 0.2)}, symbols, width)]:
            assert line.cell_len <= width
            assert "\n" not in line.plain
            assert symbols is UNICODE or line.plain.isascii()


@given(st.text(min_size=1, max_size=70), st.integers(40, 120))
@example("[red]x[/red]", 80)
@example("任务" * 30, 40)
@example("\x1b[31mx\n\r\t\u202e", 40)
@settings(max_examples=60, deadline=None)
def test_names_are_drawn_as_they_are(name: str, width: int) -> None:
    events = long_run(3, name=name)
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    state = state_of(events, stage=3, name=name, detail=name)
    for line in [*live(state, START, UNICODE, width, 30), *final(state, {}, UNICODE, width)]:
        console.print(line)
        assert line.cell_len <= width
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell_len(line) <= width for line in console.file.getvalue().split("\n"))  # type: ignore[attr-defined]


def test_a_terminal_gets_the_final_table_once(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, color_system=None)
    events = whole_run()
    with LiveView("demo", plain=False, console=console, run_folder=write_run(tmp_path / "demo", events)) as view:
        for event in events:
            view.event(from_json(event))
            view.progress(progress())
    after = file.getvalue().rsplit("\x1b[2K", 1)[-1]
    assert "3 of 3 stages · finished" in after
    assert "training" not in after
    # 70 of 100 right after stage 2, 21 before: McNemar on 49 against 0. 95 against 97 is 2 against 0, p = 0.5.
    assert "+49▲" in after
    assert "-2▼" not in after
    # After the last stage 68, 74 and 55 of 100.
    assert "average accuracy   65.7 % [" in after
    assert "mean_j R[T,j]" in after


def test_what_is_kept_between_refreshes_is_never_old() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90, height=30, color_system=None)
    view = LiveView("demo", plain=False, console=console)
    for event in whole_run():
        view.event(from_json(event))
        view.progress(progress(stage=event.get("stage", 0)))
        for _ in range(2):
            with console.capture() as shown:
                console.print(view.panel)
            fresh = live(view.state, START, UNICODE, 90, 29)
            assert shown.get().splitlines()[1:] == [line.plain for line in fresh][1:]


def test_nothing_is_left_of_a_run_that_never_began() -> None:
    file = io.StringIO()
    view = LiveView("demo", plain=False, console=Console(file=file, force_terminal=True, width=80, height=24))
    with pytest.raises(ValueError, match="no such model"), view:
        raise ValueError("no such model")
    assert view.panel.closing == []


def test_a_crash_is_not_called_running() -> None:
    view = LiveView("demo", plain=False, console=Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
    with pytest.raises(RuntimeError), view:
        view.past(map(from_json, up_to("decision", 2)))
        raise RuntimeError
    assert "1 of 3 stages · not running" in plain(view.panel.closing or [])


def test_a_resumed_run_shows_its_old_table_at_once_and_counts_it_once() -> None:
    view = LiveView("demo", plain=False, console=Console(file=io.StringIO(), force_terminal=True, width=100, height=30))
    events = [*map(from_json, whole_run()[:20])]
    view.past(events)
    view.note("loading; 1 of 3 stages are done")
    text = plain(live(view.state, START, UNICODE, 100, 30))
    assert "72 +51" in text
    assert "loading; 1 of 3 stages are done" in text
    once = view.state.elapsed()
    view.past(events)  # as the loaded run does
    assert (view.state.elapsed(), view.state.note) == (once, "")
