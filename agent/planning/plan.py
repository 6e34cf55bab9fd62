"""Plans a whole run before it starts: nothing is kept, and nothing of the policy changes.

What is measured: the base's rates, the lengths of its texts, a reading, a batch of every column of the scorecard, a few
steps of each possible method from the base, and the sizes of what a stage writes. From these the time of a stage is
computed: its steps, its readings and its scorecard. A stage may end sooner, since the monitor may stop it; what
`project` or `recover` do at its end, and what a method does once a pass after the first, is not foreseen.

A quick plan checks the same, leaves out what only prices need (rates, lengths, conflicts), samples texts on `QUICK`
prompts a task, whose time stands for that of all, and tries each method in one stage.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from perdure.agent.planning.caps import Asked, propose_cap, proposing_seconds
from perdure.agent.planning.costs import Disk, LifePlan, MethodCost, StagePlan, most_snapshots
from perdure.agent.planning.timing import size_of
from perdure.agent.planning.trials import Trial, cost_of, on_host, try_all
from perdure.agent.prepare import Ready, prepare
from perdure.agent.prices import SAMPLES, base_rate, price_stages, text_lengths
from perdure.agent.run.kept import most_kept
from perdure.agent.run.log import View
from perdure.agent.seeds import derive
from perdure.agent.strategies.rungs import looks_of, losses
from perdure.agent.weights import write_weights
from perdure.agent.worlds.base_prompts import base_prompts, reads_probe
from perdure.budget.estimate import Estimate
from perdure.budget.monitor import Monitor
from perdure.budget.price import StagePrice
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import BanditStrategy, RaceStrategy, RuleStrategy, StrategyConfig, Trying
from perdure.curriculum.task import Task
from perdure.eval.benchmarks import examined_by
from perdure.eval.sampled_rewards import items_of_each
from perdure.eval.speed import scoring_speed

QUICK = 4
"""Prompts of each task in a quick plan."""
LONG = 60
"""Seconds from which on sampling the base's rates is announced with the way around it."""

Result = TypeVar("Result")


def plan(
    curriculum: Curriculum, folder: Path, view: View, asked: Asked | None = None, *, quick: bool = False
) -> LifePlan:
    """The plan of a run; `folder` holds what is written on the way, and can be removed afterwards.

    `asked`: propose a budget, too. `quick`: the costs alone, from few prompts.

    Raises:
        PerdureError: whatever `perdure run` would refuse, too.
    """
    begun = time.perf_counter()
    ready = prepare(curriculum, view)
    if quick:
        ready = replace(ready, curriculum=_of_few_prompts(curriculum))
    base_seconds, scale = _base_seconds(ready, curriculum, folder, view)
    scoring_seconds, an_answer = _scoring_seconds(ready, view)
    view.progress({"phase": "timing a reading"})
    reading_seconds = scale * _reading_seconds(ready)
    prices, an_answer = (price_stages(curriculum, {}, {}), an_answer) if quick else _priced(ready, view, an_answer)
    rate_seconds = an_answer * priced_answers(curriculum, ready.tasks)
    view.progress({"phase": "saving the policy"})
    saving_seconds, disk = _saved(ready, folder)
    trials = try_all(ready, folder / "trial", view, *((0.0,) if quick else ()))
    proposed = None if asked is None else propose_cap(ready, prices, asked, folder / "propose", view)
    checkpoint = max((one.timing.checkpoint_bytes for one in trials if one.timing is not None), default=0)
    seconds = _Seconds(reading_seconds, saving_seconds + scoring_seconds, an_answer)
    costs = [_stage_plan(ready, index, price, trials, seconds) for index, price in enumerate(prices)]
    stages = tuple(costs if quick else [replace(one, conflicts=_conflicts(ready, one.price)) for one in costs])
    first = stages[0].methods[0].timing
    whole = replace(ready, curriculum=curriculum)
    return LifePlan(
        curriculum=curriculum,
        base_id=ready.world.base_id,
        resolved=dict(ready.world.resolved),
        stages=stages,
        disk=replace(disk, checkpoint=checkpoint),
        base_seconds=base_seconds + rate_seconds + scoring_seconds,
        reading_seconds=reading_seconds,
        scoring_seconds=scoring_seconds,
        planning_seconds=time.perf_counter() - begun,
        proposing_seconds=None if first is None else proposing_seconds(whole, first, reading_seconds, an_answer),
        proposed=proposed,
        host_memory=0 if on_host(ready) else ready.world.sizes.trained,
        quick=quick,
    )


def _base_seconds(ready: Ready, curriculum: Curriculum, folder: Path, view: View) -> tuple[float, float]:
    """Seconds of sampling the base for the curriculum, and how many times the prompts of what is `ready` it has."""
    texts = _prompts(ready, ready.curriculum)
    scale = _count(_prompts(ready, curriculum)) / _count(texts)
    view.progress({"phase": f"sampling {_count(texts)} of the base's texts"})
    seed = derive(curriculum.seed, "base")
    seconds, _ = timed(lambda: ready.world.prepare_base(texts, folder / "base", seed=seed))
    return scale * seconds, scale


def _scoring_seconds(ready: Ready, view: View) -> tuple[float, float]:
    """Seconds of a whole scorecard, and of one answer to a task's items in it."""
    tasks = ready.tasks
    view.progress({"phase": f"timing the scorecard's {len(tasks) + len(ready.benchmarks.benchmarks)} columns"})
    speeds = list(scoring_speed(tasks, ready.benchmarks, ready.world.policy, ready.curriculum.evaluation))
    of_tasks = speeds[: len(tasks)]
    an_answer = sum(one.seconds for one in of_tasks) / sum(one.scored for one in of_tasks)
    return sum(one.total_seconds for one in speeds), an_answer


@dataclass(frozen=True)
class _Seconds:
    """Seconds of one reading, of what stands around each update (saving and scoring), and of one sampled answer."""

    reading: float
    around: float
    answer: float


def _stage_plan(ready: Ready, index: int, price: StagePrice, trials: Sequence[Trial], seconds: _Seconds) -> StagePlan:
    costs = tuple(cost_of(ready, index, method, trials, seconds.reading) for method in ready.methods[index])
    deciding = 0.0
    if ready.curriculum.stages[index].method is None:
        strategy, items = ready.curriculum.strategy, [len(task.train) for task in ready.tasks[: index + 1]]
        costs, trying = with_trials(strategy, costs)
        deciding = trying + seconds.answer * deciding_answers(strategy, items, len(costs))
    return StagePlan(price, costs, deciding + seconds.around)


def _conflicts(ready: Ready, price: StagePrice) -> Estimate | None:
    return ready.world.conflicts(ready.tasks[price.stage - 1].train[: ready.curriculum.budget.num_prompts])


def _priced(ready: Ready, view: View, an_answer: float) -> tuple[tuple[StagePrice, ...], float]:
    """The prices, and the seconds of a sampled answer, of which it is said before what they may be."""
    curriculum, tasks, world = ready.curriculum, ready.tasks, ready.world
    answers = _answers(curriculum, tasks)
    seconds = answers * an_answer
    about = f", about {seconds / 60:.0f} min; --quick leaves them out" if seconds > LONG else ""
    view.progress({"phase": f"sampling {answers} {curriculum.spec.nouns.answer}s for the base's rates{about}"})
    seconds, rates = timed(
        lambda: {number: base_rate(task, world.policy, curriculum) for number, task in enumerate(tasks, 1)}
    )
    view.progress({"phase": "reading the lengths of the base's texts"})
    return price_stages(curriculum, rates, text_lengths(curriculum, tasks, world.measure)), seconds / answers


def priced_answers(curriculum: Curriculum, tasks: Sequence[Task]) -> int:
    """The answers that a run samples from its base to price its stages: those with a target."""
    stages = zip(curriculum.stages, tasks, strict=True)
    return _answers(curriculum, [task for stage, task in stages if curriculum.target_of(stage) is not None])


def _answers(curriculum: Curriculum, tasks: Sequence[Task]) -> int:
    return SAMPLES * sum(min(curriculum.budget.num_prompts, len(task.train)) for task in tasks)


def _of_few_prompts(curriculum: Curriculum) -> Curriculum:
    few = min(QUICK, curriculum.budget.num_prompts)
    return curriculum.model_copy(update={"budget": curriculum.budget.model_copy(update={"num_prompts": few})})


def _prompts(ready: Ready, curriculum: Curriculum) -> dict[str, list[object]]:
    return base_prompts(curriculum, ready.tasks, examined_by(ready.tasks, ready.benchmarks), ready.world)


def _count(prompts: dict[str, list[object]]) -> int:
    return sum(map(len, prompts.values()))


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The seconds that a call took, and its result."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def _reading_seconds(ready: Ready) -> float:
    """Seconds of one reading; with several tasks each gives a part of its texts, so that it takes about the same."""
    curriculum = ready.curriculum
    monitor = Monitor(curriculum.budget, ready.world.measure, probe=reads_probe(curriculum))
    return timed(lambda: monitor.read(0, [ready.tasks[0].name]))[0]


def _saved(ready: Ready, folder: Path) -> tuple[float, Disk]:
    """Seconds to write the policy and a snapshot, and how large they and the base's texts are."""
    policy, snapshot = folder / "policy", folder / "snapshot"
    seconds = timed(lambda: ready.world.policy.save(policy))[0]
    seconds += timed(lambda: write_weights(ready.world.trained, snapshot))[0]
    sizes = size_of(folder / "base"), size_of(policy), snapshot.stat().st_size
    averaged = any("average" in name.split("+") for names in ready.methods for name in names)
    snapshots = most_snapshots(ready.curriculum.budget) + 2 * averaged
    keep = most_kept(ready.curriculum)
    races = isinstance(ready.curriculum.strategy, RaceStrategy)
    forks = max((len(methods) for methods in ready.methods if len(methods) > 1), default=0) if races else 0
    stages = len(ready.tasks)
    return seconds, Disk(*sizes, checkpoint=0, stages=stages, snapshots=snapshots, keep=keep, forks=forks)


def with_trials(strategy: StrategyConfig, costs: tuple[MethodCost, ...]) -> tuple[tuple[MethodCost, ...], float]:
    """What is left of each cost, and the seconds of training by those that are not chosen, if all are as slow as the
    slowest. What they take is taken off the stage's own steps (`trials_count`), or else comes on top.
    """
    if not isinstance(strategy, Trying) or len(costs) < 2:
        return costs, 0.0
    tried = [_trying_seconds(strategy, one, len(costs)) for one in costs]
    off = [took if strategy.trials_count else 0.0 for took in tried]
    left = (
        one if one.seconds is None else replace(one, seconds=max(0.0, one.seconds - less))
        for one, less in zip(costs, off, strict=True)
    )
    return tuple(left), max(tried)


def _trying_seconds(strategy: Trying, cost: MethodCost, candidates: int) -> float:
    """Seconds of all trials of a stage, if each candidate is as fast as this method."""
    if cost.timing is None or cost.seconds is None:
        return 0.0
    if isinstance(strategy, RaceStrategy) and (strategy.rungs or strategy.rung_seconds):
        each = cost.timing.seconds_a_step if strategy.rungs else 1.0
        return losses(strategy.rungs or strategy.rung_seconds or (), candidates) * each
    return strategy.share * cost.seconds


def deciding_answers(strategy: StrategyConfig, items: Sequence[int], candidates: int) -> int:
    """The number of answers that a strategy samples at most to choose among the candidates of a stage.

    `items` are the training items of the tasks seen, the stage's own last. Trials look at the items set aside before
    them all and after each, a race after each rung, and from the second stage on at as many of the earlier tasks
    (`agent/trial.py`). `bandit` looks at the own ones of a single candidate as well, and again at all that the stage
    before set aside.
    """
    *earlier, own = items
    if isinstance(strategy, RuleStrategy):
        return strategy.k * min(strategy.num_prompts, own)
    if not isinstance(strategy, Trying):
        return 0
    aside = max(1, min(strategy.num_prompts, own // 2))
    each = items_of_each(earlier, strategy.num_prompts) if candidates > 1 else 0
    again = _looked_at_again(earlier, strategy.num_prompts, each) if isinstance(strategy, BanditStrategy) else 0
    if candidates > 1:
        looks = looks_of(strategy, candidates) if isinstance(strategy, RaceStrategy) else candidates
        return strategy.k * (again + (1 + looks) * (aside + len(earlier) * each))
    return strategy.k * (again + aside) if isinstance(strategy, BanditStrategy) else 0


def _looked_at_again(earlier: Sequence[int], num_prompts: int, each: int) -> int:
    """The items that the stage before this one set aside, but for those of which `each` is looked at anyway."""
    if not earlier:
        return 0
    *before, last = earlier
    counts = [items_of_each(before, num_prompts)] * len(before) + [max(1, min(num_prompts, last // 2))]
    return sum(count for count in counts if count != each)
