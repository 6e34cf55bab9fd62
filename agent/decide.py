"""Decides a stage once: what the journal already holds is not decided again."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perdure.agent.enforcement.stage_cap import cap_for
from perdure.agent.forks import StageForks
from perdure.agent.life import Life
from perdure.agent.run.events import Decided
from perdure.agent.seeds import derive
from perdure.agent.strategies.contract import Candidate, Decision, Situation
from perdure.agent.trial import TrialRunner
from perdure.agent.worlds.registry import stage_steps
from perdure.budget import ranks
from perdure.budget.errors import ConfigError
from perdure.budget.monitor import Reading
from perdure.curriculum.file.candidate_methods import strategy_methods
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.strategies import PythonStrategy
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.learnable import facts_of, lacking, learnable_by
from perdure.curriculum.worlds.methods import MethodError
from perdure.curriculum.worlds.registry import section_names


def decide(life: Life, number: int, stage: Stage, task: Task, entry: Reading) -> Decision:
    """The stage's own method if it names one, else the strategy's choice; journaled with its candidates.

    A stage that was decided before a kill keeps its decision, so that a resumed run goes on as it began.

    Raises:
        ConfigError: the strategy fails, or what it says cannot be carried out.
    """
    kept = _kept(life, number)
    if kept is not None:
        return kept
    if stage.method is not None:
        decision = Decision(life.curriculum.method(stage.method).name, "the stage names it")
    else:
        situation = situation_of(life, number, stage, task, entry)
        found = life.strategy.choose(situation)
        decision = ranks.told(lambda: checked(found, situation))
    cap = cap_for(life.curriculum, life.logger.state, number, entry, decision.share)
    life.logger.log(
        Decided(
            stage=number,
            name=stage.name,
            method=decision.method,
            reason=decision.reason,
            evidence=finite(decision.evidence),
            candidates=tuple(Candidate(one.method, finite(one.figures)) for one in decision.candidates),
            share=decision.share,
            cap=cap,
            steps_spent=decision.steps_spent,
            set_aside=decision.set_aside,
            whole_schedule=decision.whole_schedule,
        )
    )
    return decision


def situation_of(life: Life, number: int, stage: Stage, task: Task, entry: Reading) -> Situation:
    """The situation that the strategy chooses in."""
    curriculum = life.curriculum
    cap = cap_for(curriculum, life.logger.state, number, entry)
    trials = TrialRunner(life, number, stage, task, cap, entry.kl.value)
    return Situation(
        number=number,
        stages=len(life.tasks),
        curriculum=curriculum,
        stage=stage,
        task=Task(task.name, task.train, (), task.reward),
        methods=possible_methods(curriculum, task),
        steps=lambda method: method_steps(curriculum, stage, task, method),
        policy=life.world.policy,
        entry=entry,
        cap=cap,
        record=life.logger.state,
        law=life.monitor.law,
        attempt=trials.attempt,
        fork=lambda num_prompts, k: StageForks(trials, num_prompts, k),
        rates=trials.rates,
        rate=trials.rate,
        seed=derive(curriculum.seed, "strategy", stage.name),
    )


def method_steps(curriculum: Curriculum, stage: Stage, task: Task, name: str) -> int:
    """The optimiser steps that a method would make in a stage. Raises as `stage_steps`."""
    method = curriculum.method(name)
    settings = settings_for(method, curriculum.train, stage.train).objective
    return stage_steps(curriculum, method, settings, len(task.train))


def possible_methods(curriculum: Curriculum, task: Task) -> tuple[str, ...]:
    """The methods among which the strategy may choose and that can learn the task.

    Raises:
        ConfigError: there are none.
    """
    offered, facts = strategy_methods(curriculum), facts_of(task)
    methods = learnable_by(curriculum.spec, facts, offered)
    if not methods:
        able = learnable_by(curriculum.spec, facts)
        remedy = f"it can be learned by {', '.join(able)}" if able else "it cannot be learned at all"
        raise ConfigError(
            f"strategy {curriculum.strategy.type!r}: none of its methods ({', '.join(offered)}) can learn task "
            f"{task.name!r}, which has {_lacking(task)}; {remedy}. Name others in strategy.candidates, or give "
            "the stage a `method`"
        )
    return methods


def checked(decision: object, situation: Situation) -> Decision:
    """The decision that a strategy returned, if it can be carried out.

    Raises:
        ConfigError: it is no `Decision`, its method is unknown, of another world or cannot learn the task, or its
            share, its steps or its other parts are of the wrong kind; says what would be right.
    """
    who = f"{_name(situation.curriculum)}, stage {situation.stage.name!r}"
    if not isinstance(decision, Decision):
        raise ConfigError(
            f"{who}: `choose` returned {decision!r}, which is no Decision; return "
            "perdure.agent.strategies.contract.Decision(method, reason)"
        )
    decision = replace(decision, method=_method(decision.method, situation, who))
    if decision.share is not None and not (_is_number(decision.share) and 0 < decision.share <= 1):
        raise ConfigError(
            f"{who}: the share of the budget is {decision.share!r}; it lies above 0 and at most at 1, or is None for "
            "what budget.allocation says"
        )
    if decision.steps_spent != 0:
        _check_spent(who, decision.steps_spent, situation.steps(decision.method))
    if type(decision.set_aside) is not int or decision.set_aside < 0:
        raise ConfigError(f"{who}: `set_aside` is {decision.set_aside!r}; give a number of training items, or 0")
    if not isinstance(decision.whole_schedule, bool):
        raise ConfigError(f"{who}: `whole_schedule` is {decision.whole_schedule!r}; give True or False")
    if not isinstance(decision.reason, str):
        raise ConfigError(f"{who}: the reason is {decision.reason!r}; give a line of text")
    _check_figures(who, decision)
    return decision


def _method(name: object, situation: Situation, who: str) -> str:
    """The canonical name of the method that a strategy named."""
    curriculum, refused = situation.curriculum, ""
    choose = f"choose one of {', '.join(map(repr, situation.methods))}"
    parts = set(name.replace(" ", "").split("+")) if isinstance(name, str) else {""}
    if not parts <= set(section_names()):
        refused = f"there is no method {name!r}{did_you_mean(name, situation.methods) or f'; {choose}'}"
    elif not parts <= set(curriculum.spec.parts):
        refused = f"method {name!r} is not of the {curriculum.world} world; {choose}"
    else:
        try:
            method = curriculum.method(str(name))
        except MethodError as error:
            raise ConfigError(f"{who}: method {name!r}: {error}") from error
        if lacking(method, facts_of(situation.task)):
            refused = f"method {name!r} cannot learn this task, which has {_lacking(situation.task)}; {choose}"
        elif method.name not in situation.methods and _has_candidates(curriculum):
            refused = f"method {name!r} is not among its candidates; {choose}"
        if not refused:
            return method.name
    raise ConfigError(f"{who}: {refused}")


def _has_candidates(curriculum: Curriculum) -> bool:
    """True if the strategy is bound to a list; a user's own without one may name any combination of its world."""
    return not isinstance(curriculum.strategy, PythonStrategy) or curriculum.strategy.candidates is not None


def _check_spent(who: str, spent: object, steps: int) -> None:
    if type(spent) is not int or not 0 <= spent < steps:
        raise ConfigError(f"{who}: `steps_spent` is {spent!r}; give a whole number below the stage's {steps} steps")


def _lacking(task: Task) -> str:
    lacks = [] if task.has_demonstrations else ["no demonstrations"]
    lacks += [] if task.reward is not None else ["no reward"]
    return " and ".join([*lacks, *(["no single answers (it is played in turns)"] if task.is_played else [])])


def _check_figures(who: str, decision: Decision) -> None:
    try:
        json.dumps(dict(decision.evidence))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{who}: the evidence cannot be journaled ({error}); give a dictionary of names and plain figures or texts"
        ) from error
    for one in decision.candidates:
        if not isinstance(one, Candidate) or not all(
            value is None or _is_number(value) for value in one.figures.values()
        ):
            raise ConfigError(f"{who}: a candidate is {one!r}; give Candidate(method, {{name: figure or None}})")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(curriculum: Curriculum) -> str:
    strategy = curriculum.strategy
    return f"strategy {strategy.path if isinstance(strategy, PythonStrategy) else strategy.type!r}"


def finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `None` for what is not finite: the journal is JSON."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def _kept(life: Life, number: int) -> Decision | None:
    """The decision that the journal holds."""
    row = life.logger.state.row(number)
    if row is None or row.reason is None or row.method is None:
        return None
    told = (row.reason, row.evidence, row.candidates, row.share, row.steps_spent, row.set_aside, row.whole_schedule)
    return Decision(row.method, *told)
