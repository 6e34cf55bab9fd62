"""The schema of a curriculum file. Importing it imports no torch."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from perdure.budget.config import BudgetConfig, Frozen, broken_rule
from perdure.curriculum.environment import Environment
from perdure.curriculum.evaluation import Benchmark, Evaluation, Name
from perdure.curriculum.messages import one_of
from perdure.curriculum.strategies import FixedStrategy, PythonStrategy, RuleStrategy, StrategyConfig, Trying
from perdure.curriculum.tracking import Tracker, TrackerConfig, refuse_twice, tracker_of
from perdure.curriculum.train import Train
from perdure.curriculum.worlds.contract import ModelSection, Source, WorldSpec
from perdure.curriculum.worlds.learnable import lacking, task_refusal
from perdure.curriculum.worlds.methods import Method, MethodError, offer
from perdure.curriculum.worlds.registry import (
    MethodName,
    default_world,
    owner_of,
    spec_of,
    type_of,
    worlds,
    worlds_with,
)

MOST = 1000
"""Stages, and benchmarks: each is a row or a column of a table, and is scored after every stage."""


def _type(section: Any, default: str) -> str:
    """The `type` of a section, or the default."""
    return str(section.get("type", default) if isinstance(section, dict) else getattr(section, "type", default))


if TYPE_CHECKING:
    ModelConfig = ModelSection
    TaskConfig = Source
else:
    _default_model = type_of(default_world().model)
    _models = [Annotated[spec.model, Tag(type_of(spec.model))] for spec in worlds().values()]
    _tasks = dict.fromkeys(task for spec in worlds().values() for task in spec.tasks)
    ModelConfig = Annotated[reduce(or_, _models), Discriminator(lambda one: _type(one, _default_model))]
    TaskConfig = Annotated[reduce(or_, _tasks), Field(discriminator="type")]


class TaskBenchmark(Frozen):
    """The held-out items of a task. They are scored as tasks are and never trained on."""

    type: Annotated[Literal["task"], Field(description="the held-out items of a task")]
    name: Annotated[Name, Field(description="column title")]
    task: Annotated[TaskConfig, Field(description="where the items come from, as in a stage")]

    @property
    def title(self) -> str:
        return self.name


BenchmarkConfig = Annotated[
    Annotated[Benchmark, Tag("lm_eval")] | Annotated[TaskBenchmark, Tag("task")],
    Discriminator(lambda one: _type(one, "lm_eval")),
]


class Stage(Frozen):
    """One task's turn in the stream."""

    name: Annotated[Name, Field(description="column title and folder name; unique")]
    task: Annotated[TaskConfig, Field(description="where the items come from")]
    method: Annotated[
        MethodName | None,
        Field(description="as for `fixed`; overrides the strategy"),
    ] = None
    target_accuracy: Annotated[
        float | None, Field(gt=0, lt=1, description="overrides the budget's `target_accuracy` for this stage")
    ] = None
    train: Annotated[Train, Field(description="overrides the curriculum's `train` for this stage")] = Train()


class Curriculum(Frozen):
    """A base model, a budget, a way to choose, a stream of tasks and what must be kept."""

    model: Annotated[ModelConfig, Field(description="the base model")]
    seed: Annotated[int, Field(ge=0, lt=2**32, description="everything random follows from it")] = 0
    budget: Annotated[
        BudgetConfig, Field(description="how far the policy may move from the base in the whole run, in forward KL")
    ]
    strategy: Annotated[StrategyConfig, Field(description="how the method of a stage is chosen")]
    train: Annotated[Train, Field(description="train settings of all stages")] = Train()
    stages: Annotated[
        list[Stage], Field(min_length=1, max_length=MOST, description="the stream: one task after another")
    ]
    benchmarks: Annotated[
        list[BenchmarkConfig],
        Field(max_length=MOST, description="what the base can already do: measured and never trained on"),
    ] = []
    evaluation: Annotated[Evaluation, Field(description="how held-out items are answered")] = Evaluation()
    environment: Annotated[
        Environment | None,
        Field(description="the reward of the gymnasium environment; no command uses it"),
    ] = None

    keep: Annotated[
        Literal["all", "last"] | Annotated[int, Field(ge=1, le=MOST)],
        Field(
            description="how many stages' policies stay on the disk, the last ones (docs/plan.md)",
        ),
    ] = "all"
    tracking: Annotated[
        list[TrackerConfig],
        Field(description="trackers that the run is sent to: names, or maps with options"),
    ] = []
    code_dir: Annotated[
        str | None,
        Field(
            min_length=1,
            description="folder of your own modules (`module:name`); default: this file's, then the current one",
        ),
    ] = None

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """The entries of `tracking` as sections."""
        return tuple(map(tracker_of, self.tracking))

    @property
    def world(self) -> str:
        """The name of the model's world."""
        return self.model.world

    @property
    def spec(self) -> WorldSpec:
        """The specification of the model's world."""
        return spec_of(self.model.world)

    def method(self, name: str) -> Method:
        """A method of the curriculum's world.

        Raises:
            MethodError: there is none of that name, or the model cannot be trained by it.
        """
        for part in name.split("+"):
            if elsewhere := worlds_with(part, besides=self.spec):
                message = f"method {part!r} is of {elsewhere}; {offer(self.spec.names, self.spec.modifiers)}"
                raise MethodError(message)
        method = self.spec.method(name)
        refused = self.model.refusal(method)
        if refused is not None:
            raise MethodError(refused)
        return method

    @model_validator(mode="after")
    def _everything_is_of_one_world(self) -> "Curriculum":
        spec = self.spec
        for place, task in self.tasks():
            if not isinstance(task, spec.tasks):
                owner = owner_of(task)
                kind = f"`model.type: {type_of(owner.model)}`"
                here = one_of([type_of(one) for one in spec.tasks])
                message = f"{type_of(type(task))!r} is for the {owner.name} world ({kind}); {spec.accepts}; use {here}"
                raise broken_rule(message, *place, "type")
        for index, one in enumerate(self.benchmarks):
            if isinstance(one, Benchmark) and not spec.reads_text:
                raise broken_rule("lm-eval asks language models; here a benchmark is `type: task`", "benchmarks", index)
        for place, name in self._methods():
            try:
                self.method(name)
            except MethodError as error:
                raise broken_rule(str(error), *place) from None
        return self

    @model_validator(mode="after")
    def _the_rule_can_be_followed(self) -> "Curriculum":
        for slot, other in (("imitate", "reward"), ("reinforce", "demonstrations")):
            name = self._ruled().get(slot)
            if name is not None and other in self.method(name).needs:
                raise broken_rule(
                    f"`{slot}` is for tasks that may have no {other}, and {name!r} needs {other}", "strategy", slot
                )
        return self

    def tasks(self) -> list[tuple[tuple[str | int, ...], Source]]:
        """Every task, of stages and of benchmarks, with its place."""
        stages = [(("stages", index, "task"), one.task) for index, one in enumerate(self.stages)]
        benchmarks = [
            (("benchmarks", index, "task"), one.task)
            for index, one in enumerate(self.benchmarks)
            if isinstance(one, TaskBenchmark)
        ]
        return [*stages, *benchmarks]

    @property
    def kl_settings(self) -> str:
        """See `ModelSection.kl_settings`: of the first stage, with which all others agree."""
        return self.model.kl_settings(self.stages[0].task)

    def known_tasks(self) -> list[tuple[tuple[str | int, ...], Source]]:
        """The tasks that the base is made with, each with its place."""
        return [(("model", *path), source) for path, source in self.model.sources]

    def _methods(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Every method that the file names, with its place."""
        fixed = [(("strategy", "method"), self.strategy.method)] if isinstance(self.strategy, FixedStrategy) else []
        tried = [(("strategy", "candidates", index), method) for index, method in enumerate(self._candidates())]
        ruled = [(("strategy", slot), method) for slot, method in self._ruled().items()]
        own = [(("stages", index, "method"), one.method) for index, one in enumerate(self.stages) if one.method]
        return [*fixed, *ruled, *tried, *own]

    def _ruled(self) -> dict[str, str]:
        """The methods that the file gives the rule, by their fields."""
        slots = self.strategy.slots if isinstance(self.strategy, RuleStrategy) else {}
        return {slot: method for slot, method in slots.items() if slot in self.strategy.model_fields_set}

    def _candidates(self) -> list[str]:
        """The methods that the file lists for the strategy to choose from."""
        return self.strategy.candidates or [] if isinstance(self.strategy, Trying | PythonStrategy) else []

    @model_validator(mode="after")
    def _trackers_are_unique(self) -> "Curriculum":
        refuse_twice(self.tracking)
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Curriculum":
        places: dict[str, tuple[str | int, ...]] = {}
        stages = [(stage.name, ("stages", i, "name")) for i, stage in enumerate(self.stages)]
        columns = [
            (one.title, ("benchmarks", i, "name" if one.name else "tasks")) for i, one in enumerate(self.benchmarks)
        ]
        for name, place in stages + columns:
            if places.setdefault(name, place) != place:
                raise broken_rule(f"two stages or benchmarks are called {name!r}; every name must be unique", *place)
        return self

    @model_validator(mode="after")
    def _methods_can_learn_their_tasks(self) -> "Curriculum":
        fixed = self.strategy.method if isinstance(self.strategy, FixedStrategy) else None
        for index, stage in enumerate(self.stages):
            name = stage.method or fixed
            refused = None if name is None else task_refusal(self.spec, self.method(name), stage.task.facts)
            if refused is not None:
                raise broken_rule(refused, "stages", index, "method" if stage.method else "task")
        return self

    @model_validator(mode="after")
    def _candidates_fit_every_task(self) -> "Curriculum":
        candidates = [self.method(name) for name in self._candidates()]
        names = [one.name for one in candidates]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise broken_rule(f"{name!r} is given twice", "strategy", "candidates", index)
        for index, stage in enumerate(self.stages):
            if candidates and stage.method is None:
                facts = stage.task.facts
                if all(lacking(one, facts) for one in candidates):
                    first = task_refusal(self.spec, candidates[0], facts)
                    message = f"none of the strategy's candidates can learn this task: {first}"
                    raise broken_rule(message, "stages", index, "task")
        return self

    @model_validator(mode="after")
    def _generic_prompts_can_be_had(self) -> "Curriculum":
        if self.budget.generic is not None and not self.spec.reads_text:
            message = f"generic prompts of a file are text, and {self.spec.accepts}; leave it out"
            raise broken_rule(message, "budget", "generic")
        if self.budget.counts_generic and self.budget.generic is None and not self.spec.neutral_prompts:
            message = f"the {self.world} world has no generic probe; set `prompts: seen` or `task`"
            raise broken_rule(message, "budget", "prompts")
        return self

    def target_of(self, stage: Stage) -> float | None:
        """The accuracy asked of a stage: its own, else the budget's."""
        return self.budget.target_accuracy if stage.target_accuracy is None else stage.target_accuracy

    @model_validator(mode="after")
    def _floors_have_targets(self) -> "Curriculum":
        without = [stage.name for stage in self.stages if self.target_of(stage) is None]
        if self.budget.allocation == "floor" and without:
            raise broken_rule(
                "`floor` goes by the KL floor of each stage's target accuracy, and there is none for "
                f"{', '.join(map(repr, without))}: set `budget.target_accuracy`, or that of the stage",
                "budget",
                "allocation",
            )
        return self
