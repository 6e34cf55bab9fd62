"""States to draw, and what was drawn as text."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.text import Text

from perdure.agent.run.lines import from_json
from perdure.agent.run.state import RunState, read_state
from perdure.cli.views.state import State, with_events, with_progress
from tests.cli.journals import Line, progress, whole_run


@dataclass(frozen=True)
class Test:
    """A paired test against the base."""

    __test__ = False
    difference: float
    p_value: float | None


def seen(lines: Iterable[Line]) -> State:
    """The state after the events of these lines."""
    return with_events(State(), map(from_json, lines))


def folded(lines: Iterable[Line]) -> RunState:
    """The run's state after the events of these lines."""
    return read_state(map(from_json, lines))


def state_of(events: list[Line], **now: object) -> State:
    """The state after `events`, with a paired test that is significant from 6 points on (see `write_run`)."""
    state = seen(events)
    base = state.record.row(0)
    changes = {}
    for row in state.record.rows[1:]:
        for name, value in row.scores.items() if base else ():
            points = value.value - base.scores[name].value  # type: ignore[union-attr]
            changes[row.stage, name] = Test(points, 0.03 if abs(points) > 0.055 else 0.06)
    state = replace(state, changes=changes)
    return with_progress(state, progress(**now)) if now else state  # type: ignore[arg-type]


def up_to(kind: str, stage: int, nth: int = 0) -> list[Line]:
    """The run up to and with the `nth` event of a kind in a stage."""
    events = whole_run()
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
