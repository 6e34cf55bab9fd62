"""The figures of the page as reproducible SVG."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from docs.theory import coins, em
from docs.theory.bandit import SEVEN, Array, kl_forward, kl_reverse, least_kl, projection
from docs.theory.flows import follow
from docs.theory.tables import ACCURACIES, METHODS

STYLE = {
    "svg.hashsalt": "perdure",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}
NEAR_WRITER = "SFT, one writer, likeliest arm"
LINES = {
    NEAR_WRITER: ("#cc79a7", "SFT, one writer (likeliest arm)"),
    "SFT, two writers, likeliest arms": ("#e69f00", "SFT, two writers (likeliest arms)"),
    "policy gradient": ("#d55e00", "policy gradient"),
    "SFT, every right arm alike": ("#8c8c00", "SFT, every right arm alike"),
    "policy gradient, KL term": ("#0072b2", "policy gradient, KL term β = 0.1"),
    "tilt": ("#009e73", "tilt"),
    "natural policy gradient = least KL": ("black", "natural gradient = least KL"),
}
FAR_WRITER = {"SFT, one writer, least likely arm": ("#cc79a7", "SFT, one writer (least likely arm)")}
TICKS = (0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)


def main(folder: Path) -> None:
    """Write every figure into the folder."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("svg")
    with mpl.rc_context(STYLE):
        for name, draw in FIGURES.items():
            figure = draw(plt)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, facecolor="white", bbox_inches="tight")
            plt.close(figure)


def kl_against_accuracy(plt: Any) -> Any:
    """Both KLs along every method's path."""
    grid = _from_logit(np.linspace(_logit(0.6), _logit(0.999), 46)[1:])
    paths = {name: follow(SEVEN, METHODS[name].field, until=0.9991) for name in LINES}
    figure, both = plt.subplots(1, 2, figsize=(10, 4.6))
    for axes, measure, words in ((both[0], kl_reverse, "KL(π‖π0)"), (both[1], kl_forward, "KL(π0‖π)")):
        for name, (colour, label) in LINES.items():
            values = [0.0] + [np.nan if p is None else measure(p, SEVEN) for p in map(paths[name].at, grid)]
            look = {"linestyle": "--", "zorder": 4} if name == "tilt" else {}
            axes.plot(_logit(np.append(0.6, grid)), values, color=colour, label=label, **look)
        axes.set_xticks([_logit(t) for t in TICKS], [f"{100 * t:g}" for t in TICKS])
        axes.set_xlabel("accuracy: mass on right arms, % (logit scale)")
        axes.set_ylabel(f"{words}, nats")
        axes.set_ylim(0, None)
        axes.grid(alpha=0.25)
    both[0].set_title("reverse KL, the proposition's")
    both[1].set_title("forward KL, the law's")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.subplots_adjust(bottom=0.27, wspace=0.2)
    return figure


def inside_the_right_arms(plt: Any) -> Any:
    """The shares of the right arms, in barycentric coordinates; dots mark 90, 95 and 98 % accuracy."""
    figure, axes = plt.subplots(figsize=(6.4, 5.2))
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
    axes.plot(*corners[[0, 1, 2, 0]].T, color="0.5", linewidth=1)
    for corner, arm, side in zip(corners, range(3), ("right", "left", "center"), strict=True):
        up = "bottom" if arm == 2 else "top"
        shift = 0.02 if arm == 2 else -0.02
        axes.text(corner[0], corner[1] + shift, f"arm {arm + 1} (base {SEVEN.base_SK[0, arm]:.2f})", ha=side, va=up)
    shown = _from_logit(np.linspace(_logit(0.605), _logit(0.999), 40))
    for name, (colour, label) in (FAR_WRITER | LINES).items():
        if name == NEAR_WRITER:  # on top of policy gradient
            continue
        path = follow(SEVEN, METHODS[name].field, until=0.9991)
        axes.plot(*(_shares([SEVEN.base_SK, *map(path.at, shown)]) @ corners).T, color=colour, label=label)
        axes.plot(*(_shares([*map(path.at, ACCURACIES)]) @ corners).T, "o", color=colour, markersize=5)
    axes.annotate("base and q*", _shares([SEVEN.base_SK])[0] @ corners, (8, -3), textcoords="offset points")
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.legend(loc="upper left", bbox_to_anchor=(0.68, 1.02))
    return figure


def alternating_projections(plt: Any) -> Any:
    """EM between policy gradient and tilt; and EM in a restricted class."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
    lengths = np.geomspace(0.5, 100, 24)
    left.plot(lengths, [kl_reverse(em.inexact(SEVEN, length, 0.98)[0], SEVEN) for length in lengths], color="#0072b2")
    for words in ("policy gradient", "tilt"):
        level = kl_reverse(follow(SEVEN, METHODS[words].field, until=0.98).end, SEVEN)
        left.axhline(level, color="0.4", linewidth=1, linestyle="--")
        left.text(0.5, level + 0.006, f"{words} {level:.3f}", va="bottom")
    left.axhline(kl_reverse(least_kl(SEVEN, 0.98), SEVEN), color="0.4", linewidth=1)
    left.text(0.5, 0.415, f"least {kl_reverse(least_kl(SEVEN, 0.98), SEVEN):.3f}", va="top")
    left.set(xscale="log", ylim=(0.38, 0.8), xlabel="length of the M-step (learning rate × steps)")
    left.set_xticks([1, 10, 100], ["1", "10", "100"])
    left.set_ylabel("KL(π‖π0) at 98 % accuracy, nats")
    left.set_title("EM in a table: how well each target is fitted")
    _coins(right)
    figure.subplots_adjust(wspace=0.25)
    return figure


def _coins(axes: Any) -> None:
    grid = np.linspace(0.5, 1, 126)
    for level in (0.9, 0.98):
        inside = grid[1 - (1 - level) / (1 - np.minimum(grid, level)) >= 0.5]
        axes.plot(inside, 1 - (1 - level) / (1 - inside), color="0.6", linewidth=1)
        axes.text(0.505, 1 - (1 - level) / 0.5, f"{100 * level:.0f} %", color="0.4", va="bottom")
    steps = np.array(coins.em(coins.FAIR, 0.5, 0.5, 40))
    axes.plot(*steps.T, "o-", color="#d55e00", markersize=4, label="EM, exact M-steps")
    best = np.array([coins.least_kl_coins(0.5, 0.5, at) for at in 1 - np.geomspace(0.249, 1e-4, 160)])
    axes.plot(*np.vstack([best, [1, 0.5]]).T, color="black", label="least KL(π‖π0) in the class")
    axes.set(xlim=(0.49, 1.01), ylim=(0.49, 1.01), xlabel="heads of the first coin", ylabel="heads of the second coin")
    axes.set_title("EM with two coins: a class without q*")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _shares(policies: list[Array]) -> Array:
    return np.array([projection(policy, SEVEN)[0, :3] for policy in policies])


def _logit(p: Any) -> Any:
    return np.log(p / (1 - p))


def _from_logit(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FIGURES: dict[str, Callable[[Any], Any]] = {
    "kl-against-accuracy": kl_against_accuracy,
    "inside-the-right-arms": inside_the_right_arms,
    "alternating-projections": alternating_projections,
}
