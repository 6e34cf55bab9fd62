"""What the views know: time, pace and names."""

from dataclasses import replace

import pytest

from perdure.agent.run.events import Resumed
from perdure.cli.views.state import State, with_event, with_progress
from tests.cli.drawn import seen, state_of, up_to
from tests.cli.journals import START, TASKS, progress, whole_run


def test_time_between_stop_and_resume_is_not_counted() -> None:
    # An event every 2 s: 4 s up to the stop, a night, 6 s after the resume.
    events = whole_run()[:3]
    last = events[-1]["time"]
    later = last + 1e4
    events += [{"event": "resumed", "time": later}, events[1] | {"time": later + 6}]
    assert seen(events).elapsed(later + 9) == pytest.approx(4 + 6 + 3)


def test_a_resumed_stage_is_timed_from_where_it_went_on() -> None:
    state = state_of(up_to("decision", 2))
    # Steps 40 to 50 in 10 s, so 50 more take 50 s; from step 0 it would be 10 s.
    for step in (40, 50):
        state = with_progress(state, progress(step=step))
    assert state.remaining() == pytest.approx(50)
    assert with_event(state, Resumed(time=START)).remaining() is None


def test_the_clock_moves_while_the_libraries_load() -> None:
    state = replace(State(title="demo", begun=START), progress={"phase": "loading the libraries"})
    assert state.elapsed(START + 7) == 7
    # of a run that was killed long ago only what it took is said, until it goes on
    killed = replace(seen(whole_run()[:3]), begun=START, progress={"phase": "loading the libraries"})
    assert killed.sets_up and killed.elapsed(START + 1e6) == 4
    assert killed.run_remaining(START + 1e6) is None


def test_a_phase_without_a_clock_of_its_own_begins_when_it_is_first_seen() -> None:
    state = with_progress(State(), {"phase": "reading the tasks", "time": START})
    state = with_progress(state, {"phase": "reading the tasks", "time": START + 5})
    assert state.progress["since"] == START
    assert with_progress(state, {"phase": "preparing", "time": START + 6}).progress["since"] == START + 6


def test_names_of_stages_come_from_the_curriculum_until_decided() -> None:
    assert state_of(up_to("reading", 1)).record.row(1).name == TASKS[0]  # type: ignore[union-attr]
