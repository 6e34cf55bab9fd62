"""The time to the end of a run, by hand."""

from dataclasses import replace

import pytest

from perdure.agent.run.state import RunState, StageState
from perdure.cli.views.time_left import stage_left, time_left


def record(*seconds: float, base: float = 10.0, stages: int = 4, status: str = "running") -> RunState:
    """A run of which the base and so many stages are done."""
    rows = [StageState(stage, "x", seconds=took, weights_sha256="w") for stage, took in enumerate((base, *seconds))]
    return replace(RunState(), tasks=("x",) * stages, rows=tuple(rows), status=status)  # type: ignore[arg-type]


def test_nothing_is_foreseen_before_anything_was_measured() -> None:
    assert time_left(record(), 1, 5.0, None) is None
    assert time_left(RunState(), 0, 0.0, None) is None
    assert time_left(record(60.0, status="finished"), 0, 0.0, None) is None


def test_the_first_stage_stands_for_the_others() -> None:
    # 20 s so far and 30 to come are 50 for this one, and three more
    assert time_left(record(), 1, 20.0, 30.0) == 30 + 3 * 50


def test_stages_to_come_last_as_long_as_the_mean() -> None:
    # done in 60 s; this one takes 20 + 100; two more at (60 + 120) / 2
    assert time_left(record(60.0), 2, 20.0, 100.0) == 100 + 2 * 90
    # its own end not known: it is taken to last 60 s
    assert time_left(record(60.0), 2, 20.0, None) == 40 + 2 * 60
    assert time_left(record(60.0), 2, 80.0, None) == 0 + 2 * 60
    # between two stages
    assert time_left(record(60.0, 40.0), 0, 0.0, None) == 2 * 50


@pytest.mark.parametrize(
    ("phase", "training", "in_phase", "left"),
    [
        ("training", 30.0, 5.0, 40.0),  # and the scoring, as long as the base's
        ("training", None, 5.0, None),
        ("deciding", None, 5.0, None),
        ("saving", 0.0, 5.0, 10.0),
        ("scoring", 0.0, 4.0, 6.0),
        ("scoring", 0.0, 14.0, 0.0),
    ],
)
def test_the_end_of_a_stage(phase: str, training: float | None, in_phase: float, left: float | None) -> None:
    assert stage_left(record(), phase, training, in_phase) == left
