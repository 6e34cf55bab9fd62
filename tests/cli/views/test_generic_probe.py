"""The KL on the generic probe, where readings are shown."""

from typing import Any

import pytest

from perdure.agent.run.events import Measured
from perdure.agent.run.lines import from_json, to_json
from perdure.agent.run.state import read_state
from perdure.agent.tracking.records import of_event
from perdure.cli.views.format import format_generic, format_kl
from perdure.cli.views.log_lines import LogLines
from perdure.cli.views.panels import generic_lines
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State
from perdure.cli.views.symbols import ASCII


def estimate(value: float) -> dict[str, Any]:
    return {"value": value, "stderr": 0.01, "n": 8}


def reading(**more: Any) -> Measured:
    line = {"event": "reading", "stage": 1, "step": 3, "unit": "token", "cap": 0.5, "bound": 0.2} | {
        **{"entry": False, "final": True, "within": True},
        **{"kl_per_token": estimate(0.2), "kl_per_sequence": estimate(4.0)},
    }
    found = from_json(line | more)
    assert isinstance(found, Measured)
    return found


BESIDE = {"kl_generic_per_token": estimate(0.05), "kl_generic_per_sequence": estimate(1.0)}
COUNTED = {"kl_generic_per_token": estimate(0.3), "kl_generic_per_sequence": estimate(6.0), "on_generic": True}
ALONE = {"kl_generic_per_token": estimate(0.2), "kl_generic_per_sequence": estimate(4.0)}


@pytest.mark.parametrize(
    ("more", "kl", "words"),
    [
        ({}, "0.200 ± 0.010 of 0.500 nats/token", ""),
        (BESIDE, "0.200 ± 0.010 of 0.500 nats/token", "; on generic prompts 0.050 ± 0.010"),
        (ALONE, "0.200 ± 0.010 of 0.500 nats/token", ""),
        (
            COUNTED | {"bound": 0.3},
            "0.300 ± 0.010 of 0.500 nats/token",
            "; this is on generic prompts, on those of tasks 0.200 ± 0.010",
        ),
    ],
)
def test_a_reading_says_which_kl_it_counts(more: dict[str, Any], kl: str, words: str) -> None:
    one = reading(**more)
    assert (format_kl(one), format_generic(one)) == (kl, words)
    assert to_json(from_json(to_json(one))) == to_json(one)


def test_it_stands_in_the_log_the_live_view_the_report_and_the_trackers() -> None:
    one, beside = reading(**BESIDE), "on generic prompts 0.050 +/- 0.010"
    record = read_state([from_json({"event": "started", "run": "r", "tasks": ["a"], "benchmarks": []}), one])
    said: list[str] = []
    LogLines(said.append).event(State(record=record), one)
    assert beside in said[0]
    assert beside in generic_lines(record, 1, 80, ASCII)[0].plain
    assert any(beside in line.plain for line in run_report(State(record=record), {}, ASCII, 160))
    tracked = of_event(one, 1, record)
    assert tracked is not None
    assert (tracked.metrics["kl/generic_per_token"], tracked.metrics["kl/generic_per_sequence"]) == (0.05, 1.0)
