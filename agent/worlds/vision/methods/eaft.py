"""eaft: SFT in which the policy's own entropy weighs each image (EAFT, arXiv 2601.02151).

Where the policy is sure of another label than the writer's, plain SFT pulls hardest and undoes most; here it pulls
least. The entropy is that of the 20 likeliest tokens divided by ln 20; there are ten labels, so that here it is that of
the whole distribution over ln 10, or of the `top_k` likeliest labels where that is fewer.

Departure: a response is one label, and its weight is that of the only token there is. Whether the paper makes the
likeliest tokens' probabilities sum to 1 before it takes their entropy could not be confirmed; here they are made to.
"""

from torch import Tensor

from perdure.agent.worlds.language.methods.losses import entropy_weights
from perdure.agent.worlds.vision.draws import Draws
from perdure.agent.worlds.vision.lesson import Moment, Rows
from perdure.agent.worlds.vision.losses import cross_entropy
from perdure.agent.worlds.vision.methods import sft
from perdure.curriculum.settings import EaftTrain

begin_pass = sft.begin_pass


def loss(
    log_MBC: Tensor, rows: Rows, settings: EaftTrain, draws: Draws, moment: Moment
) -> tuple[Tensor, Tensor | None]:
    """Weighted cross-entropy, the mean over images (it is not divided by the weights, as EAFT's is not)."""
    weights_MB = entropy_weights(log_MBC, top_k=settings.top_k)
    return cross_entropy(log_MBC, rows["targets"] * weights_MB[..., None]), None
