"""lora: SFT whose update of every weight matrix has rank `r` (LoRA, arXiv 2106.09685).

The mathematics is in `optimizers.LowRank`. Departures: each stage begins a new pair of factors,
the update is in the weights as it goes and no adapter stands beside them, every layer has one, where the paper adapts a
Transformer's attention alone, and A begins uniform and not Gaussian.
"""

from perdure.agent.worlds.vision.methods import sft

begin_pass = sft.begin_pass
loss = sft.loss
