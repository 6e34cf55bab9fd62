"""rl_kl: GRPO with its KL term, whose weight `beta` is 0.1 where nothing is set, as in RL's Razor (arXiv 2509.04259).

It is `rl` at that `beta`: the exact reverse KL to the original base on the images of the step.
"""

from torch import Tensor

from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Moment, Rows
from perdure.agent.worlds.vision.methods import rl
from perdure.curriculum.settings import RlKlTrain

begin_pass = rl.begin_pass


def loss(
    log_MBC: Tensor, rows: Rows, settings: RlKlTrain, draws: Draws, moment: Moment
) -> tuple[Tensor, Tensor | None]:
    """The policy gradient on a group of samples an image, and the KL term."""
    return rl.grpo("rl_kl", log_MBC, rows, settings, draws)
