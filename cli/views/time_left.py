"""The time to the end of a run, from what it has taken so far."""

from perdure.agent.run.state import RunState

AFTER_TRAINING = ("projecting", "recovering", "saving", "scoring", "scoring what the cap cost")
"""Phases of a stage that come when its steps are made."""


def stage_left(record: RunState, phase: str, training: float | None, in_phase: float) -> float | None:
    """Seconds to the end of the current stage: of `training` to come, and of scoring, once as long as the base took.

    `in_phase` are the seconds that the phase has lasted. `None` until the pace of the training is known.
    """
    base = record.row(0)
    scoring = (base.seconds or 0.0) if base is not None else 0.0
    if phase in AFTER_TRAINING:
        return max(scoring - (in_phase if phase == "scoring" else 0.0), 0.0)
    return None if training is None else training + scoring


def time_left(record: RunState, stage: int, spent: float, left: float | None) -> float | None:
    """Seconds to the end of a run, about; `None` until a stage is done or one's end can be foreseen.

    `stage` is the one that goes on, 0 for none; it has lasted `spent` seconds, and `left` are to come if that is known.
    Stages to come, and the current one where its end cannot be foreseen, are taken to last as long as the others do on
    average.
    """
    known = [row.seconds for row in record.done if row.seconds is not None]
    known += [spent + left] if stage and left is not None else []
    if record.status != "running" or not known:
        return None
    mean = sum(known) / len(known)
    to_come = len(record.tasks) - len(record.done) - (stage > 0)
    now = 0.0 if not stage else max(mean - spent, 0.0) if left is None else left
    return now + to_come * mean
