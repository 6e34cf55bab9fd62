"""Kinds of task, over which `bandit` and `race` learn in a run."""

KIND = "kind"
"""Key of the evidence: the kind of the stage's task."""

SUCCESS_RATE = 0.05
"""The success rate from which there is success to reinforce."""

STAGE_SD = 0.05
"""Standard deviation of a method's value over the stages of a kind."""


def task_kind(demonstrations: bool, success_rate: float) -> str:
    """The kind of a task in words, one of four: a stream is too short to learn about more."""
    rate = "no success yet" if success_rate < SUCCESS_RATE else "some success"
    return f"{'demonstrations' if demonstrations else 'no demonstrations'} and {rate}"
