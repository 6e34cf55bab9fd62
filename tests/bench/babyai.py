"""The curriculum `babyai`, method by method: `python -m tests.bench.babyai FILE.json --seeds 0 1 2 --arms all`.

See `arms.py`. Actions are sampled, once a start; KL is in nats a decision.
"""

import sys

from tests.bench.arms import Arms, main

SFT = "strategy.method=sft"
ARMS = Arms(
    "babyai",
    {
        "rl": (),
        "sft 1e-3": (SFT, "train.sft.learning_rate=1.0e-3"),
        "sft 1e-4": (SFT, "train.sft.learning_rate=1.0e-4"),
    },
    ("base_unseen", "unseen", "base_kept", "kept", "kl", "steps", "base_seconds", "seconds", "cpu_seconds"),
)

if __name__ == "__main__":
    sys.exit(main(ARMS, __doc__))
