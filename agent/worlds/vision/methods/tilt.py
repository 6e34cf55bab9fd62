"""tilt: fit the KL-minimal correct distribution q* ∝ π0·R by verified samples, with no oracle.

At the start of every pass each image is answered a few times, by the policy as it is then (`samples_from: policy`) or
by the frozen base (`base`). Answers that the reward verifies are kept; those of the policy are weighted by π0/π and the
weights of an image made to sum to 1 (self-normalised importance sampling). With many samples that is q* whatever the
policy has become; with few it lies nearer to the policy's own right answers, and with one it is exactly those, which is
the policy gradient of the bare reward. The step is cross-entropy to what was kept; an image without a right answer
waits for the next pass.

q* is the I-projection of the base onto the right answers: among all policies that are always right, the one with the
least KL(π‖π0), and the one that also meets the floor of KL(π0‖π) for the mass that it gives to right answers. A softmax
policy-gradient step favours the likeliest right answer and goes elsewhere (docs/theory.md); a step towards q* does not.
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.vision.losses import cross_entropy
from perdure.agent.worlds.vision.rngs import Rngs, counts
from perdure.agent.worlds.vision.schedule import default
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import VisionTilt

LEAST_MASS = 1e-30
"""Keeps 0/0 from making a target out of nothing."""


def begin_pass(
    tensors: TaskTensors, settings: VisionTilt, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """Weights of the verified samples by class, summing to 1 an image, or to 0 where none was right."""
    from_base = default("tilt", settings, "samples_from") == "base"
    sampled_log_MNC = tensors.base_log_1NC if from_base else log_MNC()
    labels_MNG = rngs.labels(sampled_log_MNC.exp(), int(default("tilt", settings, "num_generations")))
    kept_MNC = counts(labels_MNG, sampled_log_MNC.shape[-1]) * tensors.correct_NC
    weights_MNC = kept_MNC * (tensors.base_log_1NC - sampled_log_MNC).exp().nan_to_num()
    rewards_MN = kept_MNC.sum(-1) / labels_MNG.shape[-1]
    return {"targets": weights_MNC / weights_MNC.sum(-1, keepdim=True).clamp_min(LEAST_MASS), "rewards": rewards_MN}


def loss(
    log_MBC: Tensor, rows: Rows, settings: VisionTilt, rngs: Rngs, index: StepIndex
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy to the weighted samples, nats an image; the reward is that of the samples of this pass."""
    index.idle.add("no_success", rows["rewards"] == 0)
    return cross_entropy(log_MBC, rows["targets"]), rows["rewards"].mean(-1)
