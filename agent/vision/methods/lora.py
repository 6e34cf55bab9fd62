"""lora: SFT whose update of every weight matrix has rank `r` (LoRA, arXiv 2106.09685).

The mathematics is in `perdure.agent.vision.optimizers.LowRank`. Each stage begins a new pair of factors, and the update
is in the weights as it goes.
"""

from perdure.agent.vision.methods import sft

begin_pass = sft.begin_pass
loss = sft.loss
