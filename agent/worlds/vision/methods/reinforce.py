"""1-0 REINFORCE: the policy gradient of the bare reward, without a baseline and so without negative examples.

RL's Razor (arXiv 2509.04259) uses it to tell being on-policy apart from learning from failures.
"""

from collections.abc import Callable

from torch import Tensor

from perdure.agent.worlds.vision.losses import by_class, policy_gradient
from perdure.agent.worlds.vision.methods.rl import sample
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.task_tensors import Rows, StepIndex, TaskTensors
from perdure.curriculum.worlds.vision.spec import Reinforce


def begin_pass(
    tensors: TaskTensors, settings: Reinforce, rngs: Rngs, log_MNC: Callable[[], Tensor], before: Rows
) -> Rows:
    """Nothing: samples are drawn at every step."""
    return {}


def loss(
    log_MBC: Tensor, rows: Rows, settings: Reinforce, rngs: Rngs, index: StepIndex
) -> tuple[Tensor, Tensor | None]:
    """The policy gradient with the reward itself as the weight of a sample."""
    labels_MBG, rewards_MBG = sample(log_MBC, rows, settings, rngs)
    index.idle.add("no_success", rewards_MBG.amax(-1) == 0)
    weights_MBC = by_class(labels_MBG, rewards_MBG, log_MBC.shape[-1])
    return policy_gradient(log_MBC, weights_MBC), rewards_MBG.mean((-1, -2))
