"""The curriculum `drawers`, method by method: `python -m tests.bench.drawers FILE.json --seeds 0 1 --arms rl sft+kl`.

See `arms.py`. `grid` is success on the 16 starts that are learned from, 6 episodes a start, sampled at temperature 1;
`unseen` is that on the scorecard's held-out starts. KL is in nats a decision.

Below the table each method is held against imitation, seed by seed: against that arm of `sft` that keeps most among
those that reach as much of the grid or more. Then the rank correlation of KL and of what is lost.
"""

import sys
from collections.abc import Sequence
from statistics import fmean

from scipy import stats

from perdure.agent.life import Life
from perdure.agent.worlds.control.policy import ControlPolicy
from tests.bench.arms import Arms, Cell, interval, main

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


def against_imitation(cells: Sequence[Cell]) -> list[str]:
    """A line a method, and the rank correlations, with and without `sft+replay`."""
    lines = ["| method | kept, less that of `sft` at as much of the grid |", "|---|---|"]
    for name in dict.fromkeys(cell["arm"] for cell in cells if not cell["arm"].startswith("sft ")):
        found = [_kept_more(cell, cells) for cell in cells if cell["arm"] == name]
        known = [one for one in found if one is not None]
        if len(known) > 1:
            lines.append(f"| {name} | {interval(known)} (n={len(known)} of {len(found)}) |")
    for what, some in (
        ("all", cells),
        ("all but sft+replay", [cell for cell in cells if cell["arm"] != "sft+replay"]),
        ("sft alone", [cell for cell in cells if cell["arm"].startswith("sft ")]),
    ):
        if len(some) > 2:
            lost = [cell["base_kept"] - cell["kept"] for cell in some]
            rank = stats.spearmanr([cell["kl"] for cell in some], lost).statistic
            lines.append(f"rank correlation of KL and loss, {what}: {rank:.2f} (n={len(some)})")
    return lines


def _kept_more(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Its `kept` less the most that imitation keeps at this seed for as much; `None` where imitation reaches less."""
    rivals = [one for one in cells if one["arm"].startswith("sft ") and one["seed"] == cell["seed"]]
    kept = [one["kept"] for one in rivals if one["grid"] >= cell["grid"]]
    return cell["kept"] - max(kept) if kept else None


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
    against_imitation,
)

if __name__ == "__main__":
    sys.exit(main(ARMS, __doc__))
