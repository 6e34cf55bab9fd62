"""`race`: starts candidates on forks of the policy, and keeps the better half at each rung; the last one goes on.

The first candidate starts alone. Where its value at the first rung is at least `min_gain` of what is left to gain (1
less the mean reward), no other starts, and it makes all steps of the stage (an aspiration level, Simon 1955). Else the
others start, and the stage ends sooner by the losers' steps, on the schedule of all its steps. Without `min_gain` all
start at once, and the schedule is that of the steps that are left.

The winner keeps its weights and its optimiser, so that only what the losers took is spent (successive halving,
Jamieson and Talwalkar, arXiv 1502.07943; here the finalists are two at least).

At a rung a candidate is worth what `probe` would expect of it at the end of the stage, from all that it has trained
(`perdure.agent.strategies.outlook`), counted in steps at the full learning rate. Before the last rung the ranking is by
the value plus its standard error, so that a candidate of which little is known is not out for that. One that imitates
and one that reinforces are among those that go on to the last rung, wherever both are there: imitating another writer
often falls before it rises. At the last rung the first candidate wins, in the order in which they are named, that is
not below the highest value by more than the standard error of the difference: a later one has to be better by more than
noise. While no answer was right in any candidate, those that imitate come first, in the order of the candidates;
and where none is right in `ENOUGH` samples before the stage, the first of them takes it without a race.

A candidate that the cap ended keeps the figures that it has, without extrapolation, and may still win; one that broke
is out. The items that the comparison is on are not trained on, by the winner neither, and those of earlier tasks not
replayed.

What earlier races of the run told is remembered (`perdure.agent.strategies.memory`): a candidate that has less than
`min_chance` to be worth more than the best one, in a task of the kind, does not start, and the figures of the last rung
are weighed with it. If the best alone is left it makes all steps of the stage, on all items. A place that is freed so
is not given to another.
"""

from collections.abc import Sequence

from perdure.agent.strategies.contract import Decision, Situation
from perdure.agent.strategies.kinds import KIND, task_kind
from perdure.agent.strategies.memory import Memory, races_on, remembered
from perdure.agent.strategies.probe import RATE, all_candidates, is_budget_spent
from perdure.agent.strategies.rungs import Rungs, plan_rungs
from perdure.agent.strategies.running_race import SETTLED, RunningRace
from perdure.curriculum.strategies import RaceStrategy
from perdure.eval.sampled_rewards import last_items


class Race:
    """See the module."""

    def __init__(self, config: RaceStrategy) -> None:
        self._config = config

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`.

        Raises:
            ConfigError: the stage is too short.
        """
        methods, config = situation.methods, self._config
        if len(methods) == 1:
            return Decision(methods[0], "it alone can learn the task")
        if is_budget_spent(situation):
            return Decision(methods[0], "no budget remains for a race", {}, all_candidates(situation))
        imitating = self._imitating(situation)
        if imitating and situation.rate(config.num_prompts, config.k) == 0:
            return self._without_success(imitating[0], situation)
        asks = bool(config.min_chance) and races_on(situation.record, situation.task.has_demonstrations)
        memory = self._memory(situation) if asks else None
        starters = list(methods[: self._rungs(situation, methods).entrants])
        if memory is not None:
            starters = memory.in_question(starters, config.min_chance)
            if len(starters) == 1:
                return self._unraced(memory, situation)
        asked = self._answers(situation) if asks or imitating else 0
        forks, rungs = situation.fork(config.num_prompts, config.k), self._rungs(situation, starters)
        return RunningRace(config, situation, forks, rungs, starters, memory, asked).decision()

    def _imitating(self, situation: Situation) -> list[str]:
        """The candidates that imitate; none where fewer than `ENOUGH` samples would say that no answer is right."""
        if self._answers(situation) < ENOUGH:
            return []
        curriculum = situation.curriculum
        return [method for method in situation.methods if "demonstrations" in curriculum.method(method).needs]

    def _without_success(self, method: str, situation: Situation) -> Decision:
        """The first candidate that imitates, without a race, where no answer is right."""
        return Decision(
            method,
            f"no answer is right in {self._answers(situation)}, so nothing to reinforce: the first that imitates",
            {
                RATE: 0.0,
                KIND: task_kind(situation.task.has_demonstrations, 0.0),
                SETTLED: [],
                "trial_answers": self._answers(situation),
            },
            all_candidates(situation),
        )

    def _rungs(self, situation: Situation, methods: Sequence[str]) -> Rungs:
        return plan_rungs(self._config, situation.stage.name, {method: situation.steps(method) for method in methods})

    def _memory(self, situation: Situation) -> Memory | None:
        """What earlier races told about the stage's kind of task, which samples tell; `None`: nothing."""
        rate = situation.rate(self._config.num_prompts, self._config.k)
        return remembered(situation.record, task_kind(situation.task.has_demonstrations, rate), situation.methods)

    def _answers(self, situation: Situation) -> int:
        """The number of samples that tell the kind of the task."""
        return self._config.k * len(last_items(situation.task, self._config.num_prompts))

    def _unraced(self, memory: Memory, situation: Situation) -> Decision:
        """The leader, without a race."""
        config, settled = self._config, [method for method in memory.raced if method != memory.leader]
        likeliest = max(settled, key=memory.chance)
        return Decision(
            memory.leader,
            f"the best in earlier races of tasks with {memory.kind}; {memory.chance(likeliest):.0%} chance that "
            f"{likeliest} is worth more",
            {
                RATE: situation.rate(config.num_prompts, config.k),
                KIND: memory.kind,
                SETTLED: settled,
                "trial_answers": self._answers(situation),
            },
            all_candidates(situation, {method: memory.figures(method) for method in situation.methods}),
        )


ENOUGH = 100
"""Samples without a right answer that say that there is nothing to reinforce: then the rate of right ones is below 3 %
with 95 % confidence (the rule of three, Hanley and Lippman-Hand 1983)."""
