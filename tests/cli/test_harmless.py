"""No text of a model, a template, a file or a name can steer the terminal, whatever shows it."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from perdure.agent.run.lines import from_json
from perdure.budget.errors import ModelError
from perdure.cli.console import print_lines
from perdure.cli.errors import OURS, USER, guarded
from perdure.cli.views.live import LiveView, final, live
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State, with_events, with_progress
from perdure.cli.views.svg import run_svg
from perdure.cli.views.symbols import ASCII, UNICODE
from tests.cli.journals import progress, whole_run, write_run

HOSTILE = "\x1b[31m\u202e\x9b5m[bold]\r\x07\u2028<b>&"
OURS_ALONE = ("event", "unit", "action", "kind", "world", "file", "phase", "end")
"""Fields that hold words of perdure's."""


def hostile(value: Any, name: str = "") -> Any:
    """An event of a journal with every text in it made hostile."""
    if isinstance(value, dict):
        return {key: hostile(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [hostile(part, name) for part in value]
    return value + HOSTILE if isinstance(value, str) and name not in OURS_ALONE else value


def events() -> list[dict[str, Any]]:
    unscored = {"event": "unscored", "time": 1.0, "stage": 1, "task": "even", "phase": "learning", "answers": {"a": 1}}
    return [hostile(event) for event in (*whole_run(), unscored)]


@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_every_view_is_printable(symbols: Any) -> None:
    state = with_events(State(title="t" + HOSTILE), map(from_json, events()))
    state = replace(with_progress(state, hostile(progress())), note="n" + HOSTILE)
    for width in (40, 100):
        for lines in (
            run_report(state, {}, symbols, width),
            final(state, {}, symbols, width),
            live(state, 2.0, symbols, width, 50),
        ):
            assert [line.plain for line in lines if not line.plain.isprintable()] == []


def test_what_is_written_is_printable_but_for_line_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=100)
    print_lines([Text("a" + HOSTILE)], console)
    for plain in (True, False):
        with LiveView("t" + HOSTILE, plain=plain, console=console) as view:
            for event in events():
                view.event(from_json(event))
            view.progress(hostile(progress()))
            view.note("n" + HOSTILE)
            view.say("s" + HOSTILE)
    assert [mark for mark in ("\x1b[31m", "\u202e", "\x9b", "\x07", "\u2028") if mark in file.getvalue()] == []
    svg = run_svg(write_run(tmp_path / "run", whole_run()), "t" + HOSTILE)
    assert svg.replace("\n", "").isprintable()
    assert "<b>" not in svg


@pytest.mark.parametrize(("error", "code"), [(ModelError(HOSTILE), USER), (ValueError(HOSTILE), OURS)])
def test_errors_are_printable(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise error

    assert guarded(fail) == code
    assert capsys.readouterr().err.replace("\n", "").isprintable()
