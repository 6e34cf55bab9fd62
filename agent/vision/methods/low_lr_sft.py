"""low_lr_sft: SFT at `learning_rate_share` of the learning rate that `sft` has here (`perdure.agent.vision.plan`).

A small learning rate alone removes much of what SFT forgets (arXiv 2509.20758), and the comparisons that leave it out
flatter everything else.
"""

from perdure.agent.vision.methods import sft

begin_pass = sft.begin_pass
loss = sft.loss
