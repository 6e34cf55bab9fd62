"""low_lr_sft: SFT at `learning_rate_share` of the learning rate that `sft` has here (`schedule.py`).

A small learning rate alone removes much of what SFT forgets (arXiv 2509.20758), and the comparisons that leave it out
flatter everything else. Departures: the paper is about language models; and that the rate is a share of another one, a
tenth by default, is this program's choice.
"""

from perdure.agent.worlds.vision.methods import sft

begin_pass = sft.begin_pass
loss = sft.loss
