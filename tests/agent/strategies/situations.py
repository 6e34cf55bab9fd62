"""Situations with trials out of a table: no model, no run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perdure.agent.run.state import RunState
from perdure.agent.strategies.contract import Forks, Situation, TrialResult
from perdure.budget.estimate import Estimate
from perdure.budget.law.saved import Law
from perdure.budget.monitor import Reading
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_world import scalar_task
from tests.plugin.perdure_scalar.world import ScalarPolicy


def reading(kl: float = 0.0, cap: float = 1.0) -> Reading:
    one = Estimate(kl, 0.01, 8)
    return Reading(0, one, one, one, one, one, cap, "token", kl)


def trial(
    method: str = "rl",
    *,
    steps: int = 10,
    before: float = 0.5,
    after: float = 0.6,
    stderr: float | None = None,
    kl_before: float = 0.0,
    kl: float = 0.1,
    midway: float | None = None,
    seconds_a_step: float = 1.0,
    lost: float | None = None,
    lost_stderr: float | None = None,
    kept: float | None = None,
    writer_kl: tuple[float, float] | None = None,
) -> TrialResult:
    seconds = 2.0 * steps, seconds_a_step
    imitated = (
        {} if writer_kl is None else {"writer_kl_before": writer_kl[0], "writer_kl": writer_kl[1], "written": 1.0}
    )
    return TrialResult(
        method, steps, before, after, stderr, kl_before, kl, *seconds, midway, lost, lost_stderr, kept, 8, **imitated
    )


@dataclass
class Trials:
    """Answers `attempt` from a table, and counts who asked for what."""

    table: Mapping[str, Mapping[str, Any]]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def attempt(self, method: str, steps: int, num_prompts: int, k: int) -> TrialResult:
        self.asked.append((method, steps))
        return trial(method, steps=steps, **self.table[method])


def curriculum(strategy: Mapping[str, Any], **changes: Any) -> Curriculum:
    source = {"type": "python", "path": "m:f"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "scalar"},
            "budget": {"kl": 1.0},
            "strategy": dict(strategy),
            "train": {"learning_rate": 0.1, "lr_scheduler_type": "constant"},
            "stages": [{"name": name, "task": source} for name in ("first", "second", "third")],
            **changes,
        }
    )


def no_forks(num_prompts: int, k: int) -> Forks:
    """Who does not race is not to ask."""
    raise AssertionError


def situation(
    config: Curriculum,
    trials: Trials,
    *,
    methods: Sequence[str] | None = None,
    steps: int = 100,
    number: int = 1,
    record: RunState | None = None,
    law: Law | None = None,
    entry: Reading | None = None,
    seed: int = 0,
    rates: Sequence[float] = (1.0, 1.0, 1.0),
    fork: Callable[[int, int], Forks] | None = None,
) -> Situation:
    """`rates`: the mean rewards now on training items of the three tasks, of which those up to `number` are told."""
    stage = config.stages[number - 1]
    told = {one.name: rate for one, rate in zip(config.stages[:number], rates, strict=False)}
    return Situation(
        number=number,
        stages=len(config.stages),
        curriculum=config,
        stage=stage,
        task=scalar_task(stage.name, "0.0"),
        methods=tuple(methods if methods is not None else trials.table),  # type: ignore[arg-type]
        steps=lambda method: steps,
        policy=ScalarPolicy(),
        entry=entry or reading(),
        cap=config.budget.kl,
        record=record or RunState(),
        law=law,
        attempt=trials.attempt,
        fork=fork or no_forks,
        rates=lambda num_prompts, k, stage=None: told,
        rate=lambda num_prompts, k: told[stage.name],
        seed=seed,
    )
