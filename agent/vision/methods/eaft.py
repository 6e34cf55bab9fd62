"""eaft: SFT in which the policy's own entropy weighs each image (EAFT, arXiv 2601.02151).

Where the policy is sure of another label than the writer's, plain SFT pulls hardest and undoes most; here it pulls
least. EAFT's entropy is that of the 20 likeliest tokens divided by ln 20; there are ten labels, so that it is the
entropy of the whole distribution, or of the `top_k` likeliest labels where that is fewer.
"""

from torch import Tensor

from perdure.agent.vision.draws import Draws
from perdure.agent.vision.lesson import Moment, Rows
from perdure.agent.vision.losses import cross_entropy, entropy_weights
from perdure.agent.vision.methods import sft
from perdure.curriculum.sections import EaftTrain

begin_pass = sft.begin_pass


def loss(
    log_MBC: Tensor, rows: Rows, settings: EaftTrain, draws: Draws, moment: Moment
) -> tuple[Tensor, Tensor | None]:
    """Weighted cross-entropy, the mean over images (it is not divided by the weights, as EAFT's is not)."""
    return cross_entropy(log_MBC, rows["targets"] * entropy_weights(log_MBC, settings.top_k)), None
