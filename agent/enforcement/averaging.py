"""The modifier `average`: after the last step of a stage, weights between those that it began with and those reached.

θ = θ_from + α (θ_end - θ_from), with one α for all weights: the model averaging of "Mitigating the Alignment Tax of
RLHF" (arXiv 2309.06256), which interpolates between the model before and after RLHF. Taken from the text as far as it
could be had, its abstract and opening; the values of α in its appendix could not. Departures: it is done after every
stage of a stream, whatever the objective; θ_from is the stage's start or the original base; α may be found, as the
largest with which the KL is within the stage's cap, by the search of `project`. The paper's ratios of their own for
blocks of layers (heterogeneous model averaging) are not here.

Training itself is unchanged, and so is what trials and races measure, which end before it. With an adapter the two
factors are averaged, and not their product.
"""

from pathlib import Path
from typing import Any

from perdure.agent.enforcement.projection import last_within
from perdure.agent.enforcement.stage_monitor import StageMonitor
from perdure.agent.weights import blend, write_weights
from perdure.budget import ranks
from perdure.budget.monitor import Reading
from perdure.curriculum.settings import Average

NAME = "average"
"""Of the modifier."""

FROM, END = "average-from.safetensors", "average-end.safetensors"
"""The two ends of the line, in the folder of the stage while they are needed: a run that goes on writes both again."""

NAMES = {"start": "the stage's start", "base": "the base"}


def modify(*parts: Any) -> Any:
    """The changes to the training, in every world: none."""
    return parts[-1]


def keep_start(monitor: StageMonitor, settings: Average) -> None:
    """Keep the weights that the stage begins with, if they are averaged with; to be called before its first step."""
    if settings.average_with == "start":
        ranks.told(lambda: write_weights(monitor.world.trained, monitor.folder / FROM))


def average(monitor: StageMonitor, settings: Average, step: int) -> None:
    """Average the weights as they are after the last step, and journal it."""
    monitor.logger.phase("averaging", stage=monitor.stage)
    start, end = (monitor.folder / name for name in (FROM, END))
    ended, weights = monitor.log_reading(monitor.measure(step)), monitor.world.trained
    ranks.told(lambda: write_weights(weights, end))
    if settings.average_with == "base":
        monitor.world.become_base()
        ranks.told(lambda: write_weights(weights, start))
    ranks.wait()
    share, readings = settings.average_share, 0
    if share == "cap":
        share, readings = _within(monitor, ended, (start, end))
    blend(weights, start, end, share)
    ranks.wait()
    for path in (start, end):
        ranks.told(path.unlink)
    origin = NAMES[settings.average_with]
    figures = {"start": origin, "share": share, "readings": readings, "kl_beyond": ended.kl.value}
    above = "" if ended.within else monitor.describe(ended)
    monitor.intervene("average", above, f"{share:.1%} of the way from {origin} to where it ended", step, **figures)


def _within(monitor: StageMonitor, ended: Reading, line: tuple[Path, Path]) -> tuple[float, int]:
    """The largest share found with which the KL is within the cap, 0 if it is with none, and the readings taken."""

    def read_at(share: float) -> Reading:
        blend(monitor.world.trained, *line, share)
        return monitor.measure(ended.step)

    if ended.within:
        return 1.0, 0
    start = read_at(0.0)
    share, _, readings = last_within(read_at, start, ended) if start.within else (0.0, start, 0)
    return share, readings + 1
