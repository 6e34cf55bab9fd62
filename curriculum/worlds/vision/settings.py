"""Train settings of the vision world."""

from typing import Annotated

from pydantic import Field

from perdure.curriculum.settings import Common, Gated, Imitation, Mixture, Sampling, Tilting


class VisionSft(Common, Imitation):
    """Supervised fine-tuning on a writer's labels."""

    redraw: Annotated[
        bool | None,
        Field(
            description="draw the labels of a writer with a choice afresh in every pass, the default; `false` keeps "
            "the first draw"
        ),
    ] = None


class VisionRl(Common, Sampling):
    """Reinforcement learning by GRPO."""

    scale_rewards: Annotated[str | bool | None, Field(description="`none`, the default, or `group`")] = None


class VisionChord(VisionRl, Mixture):
    """SFT and RL terms in one loss (CHORD, arXiv 2508.11408)."""


class VisionGate(VisionRl, Gated):
    """SFT on images where no sample succeeds, RL on the others (the gate of HPT, arXiv 2509.04419)."""


class VisionTilt(Common, Tilting):
    """Fits q* ∝ π0·R by samples that the reward verifies."""


class Reinforce(Common):
    """1-0 REINFORCE: the policy gradient of a reward of 1 or 0, without a baseline (vision world)."""

    num_generations: Annotated[int | None, Field(ge=1, description="labels sampled an image; default 8")] = None


class Simpo(Common):
    """SimPO (arXiv 2405.14734) on pairs of a right and a wrong answer of the base, drawn once (vision world).

    Field names are those of TRL's CPOConfig. `train.beta` is the weight of a KL term and is not this scale.
    """

    beta: Annotated[float | None, Field(gt=0, description="scale of the reward; default 2.0")] = None
    simpo_gamma: Annotated[float | None, Field(ge=0, description="target reward margin; default 1.0")] = None
