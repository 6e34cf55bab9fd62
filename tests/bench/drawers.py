"""The curriculum `drawers`, method by method: `python -m tests.bench.drawers FILE.json --seeds 0 1 --arms rl sft+kl`.

See `arms.py`. `grid` is success on the 16 starts that are learned from, 6 episodes a start, sampled at temperature 1;
`unseen` is that on the scorecard's held-out starts. KL is in nats a decision.
"""

import sys
from statistics import fmean

from perdure.agent.life import Life
from perdure.agent.worlds.control.policy import ControlPolicy
from tests.bench.arms import Arms, main

PER_START = 6
RATES, LENGTHS = ("1e-4", "3e-4", "1e-3"), (25, 100, 400)


def _by(method: str, **settings: object) -> tuple[str, ...]:
    objective = method.partition("+")[0]
    return (
        f"stages.pick_place.method={method}",
        *(f"train.{objective}.{name}={value}" for name, value in settings.items()),
    )


def on_the_grid(life: Life) -> dict[str, float]:
    """Success on the starts that are learned from, sampled."""
    policy = life.world.policy
    assert isinstance(policy, ControlPolicy), "the curriculum is of the control world"
    starts = [item.prompt for item in life.tasks[0].train for _ in range(PER_START)]
    return {"grid": fmean(one.reward for one in policy.play(starts, temperature=1.0, seed=1))}


ARMS = Arms(
    "drawers",
    {
        **{
            f"sft {rate} x{steps}": _by("sft", learning_rate=rate, max_steps=steps)
            for rate in RATES
            for steps in LENGTHS
        },
        "rl": (),
        "sft+replay": _by("sft+replay"),
        "sft+kl": _by("sft+kl"),
        "reinforce": _by("reinforce"),
        "rl+kl": _by("rl+kl"),
        "tilt": _by("tilt"),
    },
    ("base_grid", "grid", "base_unseen", "unseen", "base_kept", "kept", "kl", "seconds", "cpu_seconds"),
    on_the_grid,
)

if __name__ == "__main__":
    sys.exit(main(ARMS, __doc__))
