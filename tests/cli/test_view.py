import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from perdure.agent.journal import Event
from perdure.agent.record import Record, Row, Value
from perdure.cli.cells import cell
from perdure.cli.glyphs import ASCII, UNICODE, Glyphs, bar, clean, glyphs_for, shorten, spark
from perdure.cli.panes import metric_lines
from perdure.cli.state import State, with_event, with_events, with_progress
from perdure.cli.table import fold_rows, kl_style, table_blocks
from perdure.cli.view import LiveView, final, live
from perdure.cli.words import duration, figure
from perdure.eval.metrics import Estimate
from tests.cli.journals import START, TASKS, life, long_life, progress, write_run


@dataclass(frozen=True)
class Test:
    """A paired test against the base."""

    __test__ = False
    difference: float
    p_value: float | None


def state_of(events: list[Event], **now: object) -> State:
    """The state after `events`, with a paired test that is significant from 6 points on (see `write_run`)."""
    state = with_events(State(), events)
    base = state.record.row(0)
    changes = {}
    for row in state.record.rows[1:]:
        for name, value in row.scores.items() if base else ():
            points = value.value - base.scores[name].value  # type: ignore[union-attr]
            changes[row.stage, name] = Test(points, 0.03 if abs(points) > 0.055 else 0.06)
    state = replace(state, changes=changes)
    return with_progress(state, progress(**now)) if now else state  # type: ignore[arg-type]


def up_to(kind: str, stage: int, nth: int = 0) -> list[Event]:
    """The life up to and with the `nth` event of a kind in a stage."""
    events = life()
    places = [i for i, event in enumerate(events) if event["event"] == kind and event.get("stage") == stage]
    return events[: places[nth] + 1]


def plain(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def styles(lines: list[Text], words: str) -> str:
    """Every style that covers the first place where `words` stand."""
    for line in lines:
        at = line.plain.find(words)
        if at >= 0:
            return " ".join([str(line.style), *(str(span.style) for span in line.spans if span.start <= at < span.end)])
    raise AssertionError(f"{words!r} is nowhere")


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


def test_cells_carry_change_and_significance() -> None:
    lines = final(state_of(life()), {}, UNICODE, 100)
    row = next(line.plain for line in lines if line.plain.startswith(" 2 sort"))
    # Base 21, 45, 0, 88, 97; after stage 2: 70, 81, 2, 72, 95. Significant from 6 points on.
    assert row.split() == [
        "2",
        "sort",
        "sft",
        "↺",
        "0.260",
        "70",
        "+49▲",
        "81",
        "+36▲",
        "2",
        "+2",
        "│",
        "72",
        "-16▼",
        "95",
        "-2",
    ]
    assert "green" in styles(lines, "+49▲")
    assert "red" in styles(lines, "-16▼")
    assert "dim" in styles(lines, "-2 ")
    assert "underline" in styles(lines, "81 +36")
    assert "underline" not in styles(lines, "70 +49")


def test_signs_survive_without_colour_and_in_ascii() -> None:
    lines = final(state_of(life()), {}, ASCII, 100)
    row = next(line.plain for line in lines if line.plain.startswith(" 2 sort"))
    assert row.split() == [
        "2",
        "sort",
        "sft",
        "<",
        "0.260",
        "70",
        "+49*",
        "81",
        "+36*",
        "2",
        "+2",
        "|",
        "72",
        "-16*",
        "95",
        "-2",
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Value(0.5, None, 1), "n/a (n=1)"),
        (Value(float("nan"), None, 0), "n/a (n=0)"),
        (Value(0.5, 0.1, 2), "50"),
    ],
)
def test_thin_data_is_no_figure(value: Value, words: str) -> None:
    row = Row(1, "even", scores={"even": value})
    assert cell(Record(tasks=("even",), rows=(row,)), row, "even", {}, UNICODE, percent=True).value == words


def test_a_score_beyond_one_is_no_percentage() -> None:
    rows = tuple(Row(stage, "", scores={"ppl": Value(value, 0.1, 9)}) for stage, value in ((0, 12.5), (1, 14.0)))
    text = "\n".join(line.plain for line in table_blocks(Record(benchmarks=("ppl",), rows=rows), {}, UNICODE, 80)[0])
    assert "12.50" in text
    assert "14.00 +1.500" in text


@pytest.mark.parametrize(("share", "style"), [(0.79, "green"), (0.8, "yellow"), (1.0, "yellow"), (1.01, "red")])
def test_kl_is_coloured_by_its_share(share: float, style: str) -> None:
    assert kl_style(share) == style


def test_many_stages_fit_and_what_is_hidden_is_counted() -> None:
    state = state_of(long_life(120), stage=120, name="last")
    lines = live(state, START, UNICODE, 80, 24)
    text = plain(lines)
    titles = next(line.plain for line in lines if line.plain.startswith(" stage"))
    tasks, marks = titles.count("rea"), titles.count("hel")
    assert f"{120 - tasks} tasks and {6 - marks} benchmarks hidden" in text
    assert tasks >= 3
    assert marks >= 1
    # 121 rows: the base, the folded ones, and those drawn.
    drawn = sum(line.plain[:1] in (" ", "▸") and line.plain[1:4].strip().isdigit() for line in lines)
    assert f"{121 - drawn} earlier stages folded" in text
    assert "▸120" in text


def test_show_leaves_no_column_out() -> None:
    state = state_of(long_life(12))
    blocks = table_blocks(state.record, state.changes, UNICODE, 80)
    titles = [column for block in blocks for column in block[0].plain.replace("│", " ").split()[3:]]
    assert len(titles) == 12 + 6
    assert all(line.cell_len <= 80 for block in blocks for line in block)


@given(st.integers(0, len(life())), st.integers(40, 200), st.integers(5, 60), st.sampled_from([UNICODE, ASCII]))
@settings(max_examples=80, deadline=None)
def test_any_prefix_fits_any_terminal(count: int, width: int, height: int, glyphs: Glyphs) -> None:
    state = with_events(State(), life()[:count])
    scoring = {"phase": "scoring", "stage": 3, "time": START}
    for now in (state, with_progress(state, progress()), with_progress(state, scoring)):
        pane = live(now, START + 500, glyphs, width, height)
        assert len(pane) <= height
        for line in [*pane, *final(now, {"forgetting": Estimate(0.1, 0.1, 0.0, 0.2)}, glyphs, width)]:
            assert line.cell_len <= width
            assert "\n" not in line.plain
            assert glyphs is UNICODE or line.plain.isascii()


@given(st.text(min_size=1, max_size=70), st.integers(40, 120))
@example("[red]x[/red]", 80)
@example("任务" * 30, 40)
@example("\x1b[31mx\n\r\t\u202e", 40)
@settings(max_examples=60, deadline=None)
def test_names_are_drawn_as_they_are(name: str, width: int) -> None:
    events = long_life(3, name=name)
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    state = state_of(events, stage=3, name=name, detail=name)
    for line in [*live(state, START, UNICODE, width, 30), *final(state, {}, UNICODE, width)]:
        console.print(line)
        assert line.cell_len <= width
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell_len(line) <= width for line in console.file.getvalue().split("\n"))  # type: ignore[attr-defined]


def test_markup_in_a_reason_is_text() -> None:
    events = up_to("decision", 1)
    events[-1] = events[-1] | {"reason": "[red]x[/red] \x1b[31m"}
    assert "why     [red]x[/red] \\x1b[31m" in plain(live(state_of(events, stage=1), START, UNICODE, 80, 24))


def test_a_terminal_gets_the_final_table_once(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, color_system=None)
    events = life()
    with LiveView("demo", plain=False, console=console, run_folder=write_run(tmp_path / "demo", events)) as view:
        for event in events:
            view.event(event)
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
    for event in life():
        view.event(event)
        view.progress(progress(stage=event.get("stage", 0)))
        for _ in range(2):
            with console.capture() as shown:
                console.print(view.pane)
            fresh = live(view.state, START, UNICODE, 90, 29)
            assert shown.get().splitlines()[1:] == [line.plain for line in fresh][1:]


def test_off_a_terminal_one_line_an_event() -> None:
    file = io.StringIO()
    events = life()
    with LiveView("demo", plain=False, console=Console(file=file, width=40)) as view:
        for event in events:
            view.event(event)
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
        for event in life():
            view.event(event)
    assert "\x1b" not in file.getvalue()


def test_a_dumb_terminal_gets_log_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert LiveView("demo", plain=False, console=console).log is not None


def test_progress_is_logged_every_few_seconds() -> None:
    file = io.StringIO()
    view = LiveView("demo", plain=True, console=Console(file=file))
    view.past(up_to("decision", 2))
    for step in range(1, 13):
        view.progress(progress(step=step))  # one a second
    lines = [line[9:] for line in file.getvalue().splitlines()]
    # At seconds 1, 6 and 11; at 11 ten steps took ten seconds, 89 to go.
    assert lines == [
        "stage 2/3 sort: training step 1 of 100, reward 0.700, loss 0.900",
        "stage 2/3 sort: training step 6 of 100, reward 0.700, loss 0.900, 1:34 left",
        "stage 2/3 sort: training step 11 of 100, reward 0.700, loss 0.900, 1:29 left",
    ]


def test_nothing_is_left_of_a_run_that_never_began() -> None:
    file = io.StringIO()
    view = LiveView("demo", plain=False, console=Console(file=file, force_terminal=True, width=80, height=24))
    with pytest.raises(ValueError, match="no such model"), view:
        raise ValueError("no such model")
    assert view.pane.closing == []


def test_a_crash_is_not_called_running() -> None:
    view = LiveView("demo", plain=False, console=Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
    with pytest.raises(RuntimeError), view:
        view.past(up_to("decision", 2))
        raise RuntimeError
    assert "1 of 3 stages · not running" in plain(view.pane.closing or [])


def test_time_between_stop_and_resume_is_not_counted() -> None:
    # An event every 2 s: 4 s up to the stop, a night, 6 s after the resume.
    events = life()[:3]
    last = events[-1]["time"]
    later = last + 1e4
    events += [{"event": "resumed", "time": later}, events[1] | {"time": later + 6}]
    assert with_events(State(), events).elapsed(later + 9) == pytest.approx(4 + 6 + 3)


def test_a_resumed_stage_is_timed_from_where_it_went_on() -> None:
    state = state_of(up_to("decision", 2))
    # Steps 40 to 50 in 10 s, so 50 more take 50 s; from step 0 it would be 10 s.
    for step in (40, 50):
        state = with_progress(state, progress(step=step))
    assert state.left() == pytest.approx(50)
    assert with_event(state, {"event": "resumed", "time": START}).left() is None


def test_a_nan_in_a_curve_is_marked() -> None:
    state = state_of(up_to("decision", 2), loss=[1.0, float("nan")], reward=[])
    assert "loss    ▁✗ NaN" in plain(live(state, START, UNICODE, 80, 24))


def test_metrics_that_cannot_be_told() -> None:
    lines = metric_lines({"forgetting": Estimate(None), "benchmark_drop": Estimate(0.125)}, 80, UNICODE)
    assert [line.plain.split("  mean")[0].rstrip() for line in lines] == [
        "forgetting          n/a",
        "benchmark drop     12.5 %",
    ]


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("?", ASCII)]
)
def test_glyphs_follow_the_encoding(encoding: str, glyphs: Glyphs) -> None:
    assert glyphs_for(encoding) is glyphs


def test_fold_rows_keeps_base_and_newest() -> None:
    rows = [Row(stage, "") for stage in range(10)]
    kept, folded = fold_rows(rows, 5)
    # Five lines: the base, the line that says so, and three rows; six of ten are folded.
    assert ([row.stage for row in kept], folded) == ([0, 7, 8, 9], 6)
    assert fold_rows(rows, None) == (rows, 0)


@given(st.lists(st.floats(), max_size=80), st.integers(0, 60))
def test_spark_has_one_mark_a_value(values: list[float], width: int) -> None:
    line = spark(values, width, UNICODE)
    assert len(line) == min(len(values), width)
    assert set(line) <= set(UNICODE.levels + UNICODE.broken)


def test_spark_is_to_scale() -> None:
    # 0..7 are the eight levels; from zero, 5 of 10 is level 3.5, which rounds to the even 4.
    assert spark(range(8), 8, UNICODE) == UNICODE.levels
    assert spark([5, 10], 8, UNICODE, low=0) == UNICODE.levels[4] + UNICODE.levels[7]


@given(st.floats(), st.integers(0, 60))
def test_bar_has_its_width(share: float, width: int) -> None:
    full, rest = bar(share, width, UNICODE)
    assert len(full + rest) == width


@given(st.text(max_size=40), st.integers(0, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert cell_len(shorten(clean(text), width, UNICODE)) <= width


@given(st.text(max_size=40))
def test_clean_text_cannot_steer_a_terminal(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(text, ASCII).isascii()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (102.9, "1:42"), (7384, "2:03:04"), (None, "n/a"), (float("inf"), "n/a")]
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2134, "0.213"),
        (12.345, "12.35"),
        (123.45, "123.5"),
        (1e6, "1.0e+06"),
        (1e-5, "1.0e-05"),
        (0, "0.000"),
        (None, "n/a"),
    ],
)
def test_figures(value: float | None, words: str) -> None:
    assert figure(value) == words


def test_names_of_stages_come_from_the_curriculum_until_decided() -> None:
    assert state_of(up_to("reading", 1)).record.row(1).name == TASKS[0]  # type: ignore[union-attr]
