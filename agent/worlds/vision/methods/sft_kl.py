"""sft_kl: SFT plus `beta` · KL(π0 ‖ π), the forward KL that the law of forgetting is about, base first.

The term is taken on the images of the step: the base's distribution over their labels is known exactly, so that no text
of the base has to be sampled, as the language world must. So the writer and the base pull at the same answers, where
`enforce: penalty` takes other images than the step's.
"""

from torch import Tensor

from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Moment, Rows
from perdure.agent.worlds.vision.losses import cross_entropy, kl_base_to_policy
from perdure.agent.worlds.vision.methods import sft
from perdure.agent.worlds.vision.schedule import default
from perdure.curriculum.settings import SftKlTrain

begin_pass = sft.begin_pass


def loss(
    log_MBC: Tensor, rows: Rows, settings: SftKlTrain, draws: Draws, moment: Moment
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy and the KL term, nats an image."""
    loss_M = cross_entropy(log_MBC, rows["targets"])
    beta = float(default("sft_kl", settings, "beta"))
    return loss_M + beta * kl_base_to_policy(log_MBC, rows["base_log"]), None
