"""Prices the stages of a run before it trains: the base's rate on each task, and what a target costs at least.

The rate is the mass of right answers: the share of answers, sampled at temperature 1 to training prompts, that the
reward calls right. What is examined later is held out, and is answered greedily unless `evaluation.temperature` says
otherwise; see `perdure.budget.price` for what that means for the bound.
"""

from collections.abc import Callable, Mapping, Sequence

from perdure.agent.life import Life
from perdure.agent.run.events import Priced, Refused
from perdure.agent.seeds import derive
from perdure.budget.errors import ConfigError, GateError
from perdure.budget.estimate import Estimate, Group, per_sequence
from perdure.budget.monitor import Measurement
from perdure.budget.price import StagePrice, floor_interval, in_unit, required_kls, stage_caps, target_floor
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import RuleStrategy
from perdure.curriculum.task import Task
from perdure.eval.sampled_rewards import sampled_rewards
from perdure.eval.statistics import wilson

SAMPLES = 8
"""Answers sampled to each prompt. The prompts are the first `budget.num_prompts` of a task."""

SUCCESS_REWARD = 0.5
"""The reward from which an answer is right, where the strategy names none."""

REMEDY = "Raise budget.kl or lower the target"
"""The remedy for a stage that does not fit."""


def refuse_unpriced(curriculum: Curriculum) -> None:
    """Refuse `--strict` where nothing can be priced, so that it would let everything pass.

    Raises:
        ConfigError: no stage has a target, or the budget counts prompts that no target is about.
    """
    if all(curriculum.target_of(stage) is None for stage in curriculum.stages):
        raise ConfigError(
            "--strict: no stage has a target accuracy, so that none has a floor to hold against the budget; set "
            "budget.target_accuracy, or that of a stage, or leave --strict out"
        )
    if curriculum.budget.prompts == "generic":
        raise ConfigError(
            "--strict: the budget counts KL on generic prompts (budget.prompts), where nothing follows from the target "
            "of a task; set budget.prompts to seen or task, or leave --strict out"
        )


def price(life: Life) -> None:
    """Journal the price of every stage with a target that has none yet; the policy is the base now.

    Raises:
        GateError: the run is strict, and a stage does not fit (every such stage is named) or no price is known.
    """
    curriculum, logger = life.curriculum, life.logger
    wanted = {number for number, stage, _ in life.stages if curriculum.target_of(stage) is not None}
    known = {one.stage: one.base_rate for one in logger.state.prices if one.base_rate is not None}
    if not wanted or not (life.strict or wanted - known.keys()):
        return
    logger.phase("pricing the stages", stage=0, name="base")
    rates = base_rates(curriculum, life.tasks, life.world.policy, known)
    prices = price_stages(curriculum, rates, text_lengths(curriculum, life.tasks, life.world.measure))
    for one in prices:
        if one.stage in wanted - known.keys():
            logger.log(Priced(**vars(one)))
    fault = refusal(curriculum, prices) if life.strict else None
    if fault is not None:
        reason = f"{fault}\nNothing was trained. To run it all the same, start it again without --strict"
        logger.log(Refused(reason=reason))
        raise GateError(reason)


def refusal(curriculum: Curriculum, prices: Sequence[StagePrice]) -> str | None:
    """The reason to refuse a strict run: every stage that does not fit, one a line, or that no price is known."""
    found = [f"{one.refusal} ({one.name})" for one in prices if one.refusal is not None]
    what = "these stages cannot reach their target, an accuracy of sampled answers, within the budget"
    if found:
        unit = curriculum.spec.nouns.per(curriculum.budget.unit)
        return "\n  ".join([f"{what} (KL in nats {unit}):", *found]) + f"\n{REMEDY}"
    if all(one.required_kl is None for one in prices):
        return (
            "no stage can be held against the budget: the texts that it is read on end before the answers do that are "
            "examined; set budget.max_completion_length to that of the evaluation"
        )
    return None


def base_rates(
    curriculum: Curriculum, tasks: Sequence[Task], policy: Policy, known: Mapping[int, Estimate]
) -> dict[int, Estimate]:
    """The base's rate on the task of each stage that has a target, by number; those that are known are not sampled."""
    return {
        number: known[number] if number in known else base_rate(task, policy, curriculum)
        for number, (stage, task) in enumerate(zip(curriculum.stages, tasks, strict=True), 1)
        if curriculum.target_of(stage) is not None
    }


def base_rate(task: Task, policy: Policy, curriculum: Curriculum) -> Estimate:
    """The mean share of right answers among `SAMPLES` to each of the first training prompts; its error is over prompts.

    Answers are as long as those examined. A task without a reward counts those that are the demonstration. An answer to
    which the reward does not apply counts in no score, and so not here, unless it applies to none.
    """
    items = task.train[: curriculum.budget.num_prompts]
    seed = derive(curriculum.seed, "price", task.name)
    rewards = sampled_rewards(task, items, policy, curriculum.evaluation, k=SAMPLES, seed=seed)
    strategy = curriculum.strategy
    least = strategy.success_reward if isinstance(strategy, RuleStrategy) else SUCCESS_REWARD
    right = [[reward >= least for reward in row if reward is not None] for row in rewards]
    return mean_of([sum(row) / len(row) for row in right if row] or [0.0] * len(items))


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean of some figures, with its standard error."""
    group = Group(tuple(values), (1,) * len(values))
    return per_sequence([group])


def rate_interval(rate: Estimate) -> tuple[float, float]:
    """Wilson's 95 % interval, at the number of independent answers that would have the rate's standard error.

    Answers to one prompt are alike: that number is never taken below the number of prompts nor above that of answers
    (the effective sample size of Korn and Graubard, *Survey Methodology* 24, 1998).
    """
    spread = rate.value * (1 - rate.value)
    number = spread / rate.stderr**2 if rate.stderr else 0.0
    number = round(min(max(number, rate.n), rate.n * SAMPLES))
    return wilson(rate.value * number, number)


Measure = Callable[[Sequence[str]], Measurement]


def text_lengths(curriculum: Curriculum, tasks: Sequence[Task], measure: Measure) -> dict[str, tuple[int, ...]]:
    """The lengths of the base's texts on the prompts of each task; nothing where the budget counts other prompts."""
    if curriculum.budget.prompts == "generic":
        return {}
    return {task.name: measure([task.name]).kl_base_to_policy[0].lengths for task in tasks}


def price_stages(
    curriculum: Curriculum, rates: Mapping[int, Estimate], lengths: Mapping[str, Sequence[int]]
) -> tuple[StagePrice, ...]:
    """The price of every stage, from the base's rates by number and the lengths of its texts by task, if known."""
    budget, stages = curriculum.budget, curriculum.stages
    targets = [curriculum.target_of(stage) for stage in stages]
    floors, own = [], []
    for number, (stage, target) in enumerate(zip(stages, targets, strict=True), 1):
        rate = rates.get(number)
        floor = None if target is None or rate is None else target_floor(rate.value, target)
        told = floor is not None and stage.name in lengths and not _cut(curriculum, lengths[stage.name])
        floors.append(floor)
        own.append(in_unit(floor or 0.0, _mean(lengths[stage.name]), budget.unit) if told else None)
    needed = required_kls(own, budget.prompts)
    left = stage_caps(budget, needed, floors)
    return tuple(
        StagePrice(
            stage=number,
            name=stage.name,
            base_rate=rates.get(number),
            target=target,
            floor=floors[number - 1],
            floor_interval=_floor_interval(rates.get(number), target),
            required_kl=needed[number - 1],
            remaining_kl=left[number - 1],
        )
        for number, (stage, target) in enumerate(zip(stages, targets, strict=True), 1)
    )


def _floor_interval(rate: Estimate | None, target: float | None) -> tuple[float, float] | None:
    return None if rate is None or target is None else floor_interval(*rate_interval(rate), target)


def _cut(curriculum: Curriculum, lengths: Sequence[int]) -> bool:
    """True if the monitor's texts end before the answers that are scored may."""
    return may_cut(curriculum) and max(lengths) >= curriculum.budget.max_completion_length


def may_cut(curriculum: Curriculum) -> bool:
    """True if the monitor's texts may end before the answers that are scored, by the settings."""
    return (
        curriculum.evaluation.max_completion_length > curriculum.budget.max_completion_length
        and not curriculum.spec.one_step_answers
        and ("budget", "max_completion_length") not in curriculum.spec.ignores
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)
