"""States to draw, and what was drawn as text."""

from dataclasses import dataclass, replace

from rich.text import Text

from perdure.agent.run.journal import Event
from perdure.cli.views.state import State, with_events, with_progress
from tests.cli.journals import life, progress


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
