"""`auto`: a short rule on what the base rate, the demonstrations and the budget say.

1. No demonstrations: `rl`. No reward: `sft`.
2. pass@k on a sample of the task's prompts below `success`: there is nothing to reinforce, so `sft`.
3. At most `little_budget` of the budget is left: `rl`, which moves a shorter way (RL's Razor, arXiv 2509.04259).
4. Otherwise `chord`: demonstrations for speed, the policy's own successes for staying near.

It is a rule of thumb. It knows nothing of how the methods will turn out; the scorecard does, afterwards.
"""

from collections.abc import Sequence

from perdure.agent.strategies.contract import Decision
from perdure.budget.monitor import Reading
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import AutoStrategy, Evaluation
from perdure.curriculum.task import Task


def choose(
    config: AutoStrategy, task: Task, policy: Policy, entry: Reading, evaluation: Evaluation, seed: int
) -> Decision:
    """Decide by the rule above; the evidence holds every figure that the rule looked at.

    Samples are as long as those that `rl` would train on, if the curriculum says how long, else as those examined.
    """
    evidence: dict[str, object] = {
        "demonstrations": task.has_demonstrations,
        "reward": task.reward is not None,
        "budget_left": entry.left,
    }
    if task.reward is None:
        return Decision("sft", "there is no reward to learn from", evidence)
    rewards = sample_rewards(config, task, policy, evaluation, seed)
    pass_1, pass_k = rates(rewards, config.success_reward)
    evidence |= {"pass_at_1": pass_1, "pass_at_k": pass_k, "k": config.k, "n": len(rewards)}
    return decide(config, task.has_demonstrations, pass_k, entry.left, evidence)


def decide(
    config: AutoStrategy, demonstrations: bool, pass_k: float, left: float, evidence: dict[str, object]
) -> Decision:
    """The rule itself, on figures alone."""
    rate = f"pass@{config.k} {pass_k:.2f}"
    share = f"{left:.0%} of the budget left"
    if not demonstrations:
        return Decision("rl", f"there are no demonstrations ({rate}, {share})", evidence)
    if pass_k < config.success:
        return Decision("sft", f"no success to reinforce ({rate})", evidence)
    if left <= config.little_budget:
        return Decision("rl", f"successes to reinforce and little budget ({rate}, {share})", evidence)
    return Decision("chord", f"successes and demonstrations, and budget for both ({rate}, {share})", evidence)


def rates(rewards: Sequence[Sequence[float | None]], success_reward: float) -> tuple[float, float]:
    """pass@1 and pass@k of k samples a prompt: the share of samples, and of prompts with one at least, that succeed."""
    hits = [[reward is not None and reward >= success_reward for reward in row] for row in rewards]
    return (
        sum(map(sum, hits)) / sum(map(len, hits)),
        sum(map(any, hits)) / len(hits),
    )


def sample_rewards(
    config: AutoStrategy, task: Task, policy: Policy, evaluation: Evaluation, seed: int
) -> list[list[float | None]]:
    """The rewards of k samples at temperature 1 to each of the first training prompts."""
    assert task.reward is not None
    items = task.train[: config.num_prompts]
    responses = policy.respond(
        [item.prompt for item in items],
        max_completion_length=evaluation.max_completion_length,
        batch_size=evaluation.batch_size,
        temperature=1.0,
        num_samples=config.k,
        seed=seed,
    )
    flat = task.reward([item for item in items for _ in range(config.k)], [text for row in responses for text in row])
    return [flat[start : start + config.k] for start in range(0, len(flat), config.k)]
