"""The tables of the page in Markdown, and the functions that compute their numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from docs.theory import coins, em, states
from docs.theory.bandit import (
    SEVEN,
    Array,
    Problem,
    accuracy,
    kl_forward,
    kl_reverse,
    least_kl,
    mass,
    projection,
    uniform_over,
)
from docs.theory.flows import (
    FlowField,
    exact_gradient,
    fit,
    follow,
    natural_gradient,
    penalised,
    penalised_k3,
    sampled_tilt,
    scaled_policy_gradient,
    tilt,
)

ACCURACIES = (0.90, 0.95, 0.98)
BETA = 0.1
BEST = projection(SEVEN.base_SK, SEVEN)


@dataclass(frozen=True)
class MethodFlow:
    """The flow of a method, its limit as a policy of shape (1, K), and a description of the limit."""

    field: FlowField
    limit_SK: Array
    description: str


def fixed_mass(beta: float, *, k3: bool) -> float:
    """`J` at which a KL term and the reward balance, on the seven arms; the policy is then a tilted base.

    Reverse KL: `logit J = logit a + 1/β`. Its k3 form: `π (J + β - R) = β π0`, so `J² - (1-β) J - β a = 0`.
    """
    a = float(SEVEN.base_mass_S[0])
    if k3:
        return ((1 - beta) + np.sqrt((1 - beta) ** 2 + 4 * beta * a)) / 2
    return 1 / (1 + (1 - a) / a * np.exp(-1 / beta))


def _supervised(description: str, *arms: int) -> MethodFlow:
    target_SK = uniform_over(SEVEN, arms)
    return MethodFlow(fit(target_SK), target_SK, description)


METHODS = {
    "natural policy gradient = least KL": MethodFlow(natural_gradient, BEST, "q*"),
    "tilt": MethodFlow(tilt, BEST, "q*"),
    "tilt, 8 samples a step": MethodFlow(sampled_tilt(8), BEST, "q*"),
    "tilt, 2 samples a step": MethodFlow(sampled_tilt(2), BEST, "q*"),
    "policy gradient": MethodFlow(exact_gradient, uniform_over(SEVEN, [0]), "the likeliest right arm"),
    "policy gradient, KL term": MethodFlow(
        penalised(BETA),
        least_kl(SEVEN, fixed_mass(BETA, k3=False)),
        f"tilted base, J = {fixed_mass(BETA, k3=False):.5f}",
    ),
    "policy gradient, KL term by k3": MethodFlow(
        penalised_k3(BETA),
        least_kl(SEVEN, fixed_mass(BETA, k3=True)),
        f"tilted base, J = {fixed_mass(BETA, k3=True):.3f}",
    ),
    "SFT, every right arm alike": _supervised("those arms", 0, 1, 2),
    "SFT, two writers, likeliest arms": _supervised("those arms", 0, 1),
    "SFT, one writer, likeliest arm": _supervised("that arm", 0),
    "SFT, one writer, least likely arm": _supervised("that arm", 2),
}

M_STEPS = (1, 10, 30)


def kls(policy_SK: Array | None, problem: Problem = SEVEN) -> tuple[float, float]:
    """Reverse and forward KL in nats; NaN for a policy that is not reached."""
    return (np.nan, np.nan) if policy_SK is None else (kl_reverse(policy_SK, problem), kl_forward(policy_SK, problem))


def along(method: MethodFlow) -> list[tuple[float, float]]:
    """Reverse and forward KL at each of the accuracies."""
    path = follow(SEVEN, method.field, until=0.985)
    return [kls(path.at(wanted)) for wanted in ACCURACIES]


def methods_table() -> str:
    """Every method's limit, and its KLs at equal accuracies."""
    rows = {
        name: (method.description, kl_reverse(method.limit_SK, SEVEN), along(method))
        for name, method in METHODS.items()
    }
    rows["EM, exact M-step"] = ("q*, in one step", kl_reverse(em.exact(SEVEN), SEVEN), [kls(None)] * len(ACCURACIES))
    for length in M_STEPS:
        there = [kls(em.inexact(SEVEN, length, wanted)[0]) for wanted in ACCURACIES]
        rows[f"EM, M-step of length {length}"] = ("drifts, see below", np.nan, there)
    head = ["method", "ends at", "KL(π‖π0) there"]
    head += [f"{name} at {100 * wanted:.0f} %" for name in ("KL(π‖π0)", "KL(π0‖π)") for wanted in ACCURACIES]
    body = [
        [name, words, number(limit), *(number(pair[side]) for side in (0, 1) for pair in there)]
        for name, (words, limit, there) in rows.items()
    ]
    return markdown([head, *body])


def drift_table() -> str:
    """EM on the seven arms at accuracies ever closer to 1: its KLs above the least, and its number of targets."""
    body = []
    for wanted in (0.98, 0.99, 0.999):
        policy_SK, targets = em.inexact(SEVEN, 30, wanted)
        above = np.subtract(kls(policy_SK), kls(least_kl(SEVEN, wanted)))
        body.append([f"{100 * wanted:g} %", str(targets), *map(number, above)])
    return markdown([["accuracy", "targets", "KL(π‖π0) above the least", "KL(π0‖π) above the least"], *body])


def coins_table() -> str:
    """Two fair coins: the policies that exact EM reaches, and the best ones."""
    best_SK, at = projection(coins.FAIR.base_SK, coins.FAIR), 0.98
    even = 1 - np.sqrt(1 - at)
    rows = {
        "q*, which no two coins are": best_SK,
        "M-projection of q*: EM after one step": coins.coins(*coins.m_step(best_SK)),
        "EM, limit": coins.coins(1, 1),
        "least KL(π‖π0) among correct coins": coins.coins(1, 0.5),
        "at 98 %: EM": coins.coins(even, even),
        "at 98 %: least KL(π‖π0) in the class": coins.coins(*coins.least_kl_coins(0.5, 0.5, at)),
    }
    head = ["policy", "heads of the first, of the second", "J", "KL(π‖π0)", "KL(π0‖π)"]
    body = []
    for name, policy in rows.items():
        heads = "{:.3f}, {:.3f}".format(*coins.m_step(policy))
        body.append([name, heads, number(accuracy(policy, coins.FAIR)), *map(number, kls(policy, coins.FAIR))])
    return markdown([head, *body])


def states_table(at: float = 0.95) -> str:
    """Three prompts at one mean accuracy: the mass and KL of each method."""
    problem = states.three_states()
    rows = {
        "least forward KL": states.forward_least(problem, at),
        "least reverse KL": states.reverse_least(problem, at),
    }
    fields = {
        "natural policy gradient": natural_gradient,
        "tilt": tilt,
        "policy gradient": exact_gradient,
        "policy gradient, scaled by the deviation (GRPO)": scaled_policy_gradient,
    }
    rows |= {name: _reached(follow(problem, field, until=0.96).at(at)) for name, field in fields.items()}
    head = ["policy", *(f"J where a = {a}" for a in states.MASSES), "KL(π‖π0)", "KL(π0‖π)", "mean of the floors"]
    body = []
    for name, policy in rows.items():
        figures = (*mass(policy, problem), *kls(policy, problem), states.mean_of_floors(problem, policy))
        body.append([name, *map(number, figures)])
    return markdown([head, *body])


def random_bases(count: int = 100, at: float = 0.98) -> Mapping[str, Array]:
    """Reverse and forward KL above the least, for random bases with mass 0.6 on three of seven arms: (count, 2).

    The proportions among right arms, and among wrong ones, are uniform on the simplex. Bases are states of one problem.
    """
    draws = np.random.default_rng(0)
    base_SK = np.hstack([0.6 * draws.dirichlet(np.ones(3), count), 0.4 * draws.dirichlet(np.ones(4), count)])
    problem = Problem(base_SK, np.repeat(SEVEN.reward_SK, count, axis=0))
    alone = [Problem(base_SK[s : s + 1], SEVEN.reward_SK) for s in range(count)]
    least_S2 = np.array([kls(least_kl(one, at), one) for one in alone])
    alike = fit(uniform_over(problem, [0, 1, 2]))
    found = {}
    for name, field in {"policy gradient": exact_gradient, "SFT, every right arm alike": alike, "tilt": tilt}.items():
        path = follow(problem, field, until=0.995)
        there = [_reached(path.at(at, state))[state : state + 1] for state in range(count)]
        found[name] = np.array([kls(policy, one) for policy, one in zip(there, alone, strict=True)]) - least_S2
    return found


def random_table(found: Mapping[str, Array] | None = None) -> str:
    """Median and 5th to 95th percentile over random bases."""
    rows = []
    for name, excess_S2 in (found or random_bases()).items():
        middle, low, high = np.percentile(excess_S2, (50, 5, 95), axis=0)
        rows.append([name, *(f"{m:.3f} [{lo:.3f}, {hi:.3f}]" for m, lo, hi in zip(middle, low, high, strict=True))])
    return markdown([["method", "KL(π‖π0) above the least", "KL(π0‖π) above the least"], *rows])


def _reached(policy_SK: Array | None) -> Array:
    if policy_SK is None:
        raise ValueError("the flow stays below the accuracy of the table")
    return policy_SK


def number(value: float) -> str:
    """Three decimals; a dash for NaN."""
    return "–" if np.isnan(value) else "∞" if np.isinf(value) else f"{value:.3f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is the head."""
    head, *body = rows
    rule = ["---", *("---:" if set(cell) <= set("0123456789.–∞-") else "---" for cell in body[0][1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))
