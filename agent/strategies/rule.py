"""`rule`: chooses by the demonstrations, the success rate and the remaining budget.

1. No demonstrations: `reinforce` (by default `rl`). No reward: `imitate` (`sft`).
2. pass@k on a sample of the task's prompts below `success`: no success to reinforce, so `imitate`.
3. At most `little_budget` of the budget remains: `reinforce`, which moves less (RL's Razor, arXiv 2509.04259).
4. Otherwise `both` (`chord`): demonstrations for speed, the policy's own successes to stay near the base.

The three may be combinations, such as `sft+replay`.

It is a rule of thumb: it does not predict the results of the methods.
"""

from collections.abc import Sequence
from dataclasses import replace

from perdure.agent.strategies.contract import Candidate, Decision, Situation
from perdure.curriculum.strategies import RuleStrategy
from perdure.eval.sampled_rewards import sampled_evaluation, sampled_rewards


class RuleOfThumb:
    """The rule above; its evidence holds every figure used, its candidates name those that can learn the task."""

    def __init__(self, config: RuleStrategy) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`. The success rate is that of samples for the first training prompts."""
        learnable = situation.methods
        named = dict.fromkeys(_name(name, situation) for name in self._config.slots.values())
        candidates = tuple(Candidate(method, {"possible": float(method in learnable)}) for method in named)
        return replace(self._choose(situation), candidates=candidates)

    def _choose(self, situation: Situation) -> Decision:
        config, task, learnable = self._config, situation.task, situation.methods
        evidence: dict[str, object] = {
            "demonstrations": task.has_demonstrations,
            "reward": task.reward is not None,
            "budget_left": situation.entry.left,
        }
        if task.reward is None:
            return Decision(config.imitate, "there is no reward to learn from", evidence)
        evaluation = sampled_evaluation(situation.curriculum, situation.stage)
        items = task.train[: config.num_prompts]
        rewards = sampled_rewards(task, items, situation.policy, evaluation, k=config.k, seed=situation.seed)
        pass_1, pass_k = pass_rates(rewards, config.success_reward)
        evidence |= {"pass_at_1": pass_1, "pass_at_k": pass_k, "k": config.k, "n": len(rewards)}
        said = apply_rule(config, task.has_demonstrations, pass_k, situation.entry.left, evidence)
        able = [name for name in (said.method, config.reinforce, config.imitate) if _name(name, situation) in learnable]
        if not able or able[0] == said.method:
            return said
        return replace(said, method=able[0], reason=f"{said.reason}; {said.method} cannot learn the task")


def _name(method: str, situation: Situation) -> str:
    """The canonical name of a method."""
    return situation.curriculum.method(method).name


def apply_rule(
    config: RuleStrategy, demonstrations: bool, pass_k: float, remaining: float, evidence: dict[str, object]
) -> Decision:
    """The rule as a function of figures; `remaining` is the share of the budget."""
    rate = f"pass@{config.k} {pass_k:.2f}"
    share = f"{remaining:.0%} of the budget remains"
    if not demonstrations:
        return Decision(config.reinforce, f"there are no demonstrations ({rate}, {share})", evidence)
    if pass_k < config.success:
        return Decision(config.imitate, f"no success to reinforce ({rate})", evidence)
    if remaining <= config.little_budget:
        return Decision(config.reinforce, f"successes to reinforce and little budget ({rate}, {share})", evidence)
    return Decision(config.both, f"successes and demonstrations, and budget for both ({rate}, {share})", evidence)


def pass_rates(rewards: Sequence[Sequence[float | None]], success_reward: float) -> tuple[float, float]:
    """pass@1 and pass@k of k samples per prompt: the shares of successful samples and of prompts with one or more."""
    hits = [[reward is not None and reward >= success_reward for reward in row] for row in rewards]
    return (
        sum(map(sum, hits)) / sum(map(len, hits)),
        sum(map(any, hits)) / len(hits),
    )
