"""The curriculum: what a YAML file may say. Importing it imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from perdure.budget.config import BudgetConfig, Frozen, broken_rule
from perdure.curriculum.strategies import FixedStrategy, PythonStrategy, StrategyConfig, Trying
from perdure.curriculum.train import Train
from perdure.curriculum.worlds.contract import METHODS, OTHER, Method, left
from perdure.curriculum.worlds.language.sources import Images, TaskConfig
from perdure.curriculum.worlds.registry import ModelConfig, World

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


OTHER_TASKS: dict[World, str] = {
    "language": "{!r} is for the vision world (`model.type: mlp`); a language model reads text",
    "vision": "{!r} is for the language world; this model sees images: use `type: images`",
}


class Evaluation(Frozen):
    """How held-out items are answered."""

    batch_size: Annotated[int, Field(ge=1, description="sequences answered or scored at once")] = 64
    max_completion_length: Annotated[int, Field(ge=1, description="tokens of an answer")] = 32
    temperature: Annotated[
        float,
        Field(ge=0, description="0: greedy answers; above: one sampled answer an item (benchmarks of lm-eval apart)"),
    ] = 0.0


class Benchmark(Frozen):
    """One lm-eval task that is measured and never trained on; field names are lm-eval's. The kind without `type`."""

    type: Annotated[Literal["lm_eval"], Field(description="a task of lm-eval; the default")] = "lm_eval"
    tasks: Annotated[str, Field(description="the task's name in lm-eval", min_length=1)]
    name: Annotated[Name | None, Field(description="column title; default: `tasks`")] = None
    limit: Annotated[int | None, Field(ge=2, description="first items only")] = None
    num_fewshot: Annotated[
        int | None, Field(ge=0, description="examples before each item; default: the task's own")
    ] = None
    include_path: Annotated[
        str | None,
        Field(description="folder of task YAMLs, relative to this file; `builtin` for those shipped with perdure"),
    ] = None
    apply_chat_template: Annotated[bool, Field(description="put prompts into the chat template")] = False
    metric: Annotated[str | None, Field(description="which metric of the task; default: its first")] = None

    @property
    def title(self) -> str:
        return self.name or self.tasks


class TaskBenchmark(Frozen):
    """The held-out items of a task, scored as tasks are and never trained on."""

    type: Annotated[Literal["task"], Field(description="the held-out items of a task")]
    name: Annotated[Name, Field(description="column title")]
    task: Annotated[TaskConfig, Field(description="where the items come from, as in a stage")]

    @property
    def title(self) -> str:
        return self.name


def _benchmark_type(benchmark: Any) -> str:
    """The kind of a benchmark; without `type`, and for what is no section at all, one of lm-eval."""
    kind = benchmark.get("type", "lm_eval") if isinstance(benchmark, dict) else getattr(benchmark, "type", "lm_eval")
    return str(kind)


BenchmarkConfig = Annotated[
    Annotated[Benchmark, Tag("lm_eval")] | Annotated[TaskBenchmark, Tag("task")], Discriminator(_benchmark_type)
]


class Environment(Frozen):
    """What a stage is worth in the gymnasium environment (docs/environment.md); every command leaves it aside.

    The reward is the weighted gain less the weighted falls. An argument of `gymnasium.make` of the same name wins.
    """

    gain_weight: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="of the rise of the stage's own task and of those to come"),
    ] = 1.0
    forgetting_weight: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="of the fall of the tasks of earlier stages")
    ] = 1.0
    benchmark_weight: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="of the mean fall of the benchmarks")
    ] = 1.0


class Stage(Frozen):
    """One task's turn in the stream."""

    name: Annotated[Name, Field(description="column title and folder name; unique")]
    task: Annotated[TaskConfig, Field(description="where the items come from")]
    method: Annotated[Method | None, Field(description="overrules the strategy for this stage")] = None
    target_accuracy: Annotated[
        float | None, Field(gt=0, lt=1, description="overrules the budget's `target_accuracy` for this stage")
    ] = None
    train: Annotated[Train, Field(description="overrules the curriculum's `train` for this stage")] = Train()

    @model_validator(mode="after")
    def _method_can_learn_the_task(self) -> "Stage":
        if self.method is not None:
            _check_method(self.task, self.method, "method")
        return self


class Curriculum(Frozen):
    """A whole life: a base model, a budget, a way to choose, a stream of tasks and what must be kept."""

    model: Annotated[ModelConfig, Field(description="the base model")]
    seed: Annotated[int, Field(ge=0, lt=2**32, description="everything random follows from it")] = 0
    budget: Annotated[
        BudgetConfig, Field(description="how far the policy may move from the base in its whole life, in forward KL")
    ]
    strategy: Annotated[StrategyConfig, Field(description="how the method of a stage is chosen")]
    train: Annotated[Train, Field(description="train settings of all stages")] = Train()
    stages: Annotated[list[Stage], Field(min_length=1, description="the stream: one task after another")]
    benchmarks: Annotated[
        list[BenchmarkConfig], Field(description="what the base can already do: measured and never trained on")
    ] = []
    evaluation: Annotated[Evaluation, Field(description="how held-out items are answered")] = Evaluation()
    environment: Annotated[
        Environment | None,
        Field(description="the reward of the gymnasium environment; every command leaves it aside"),
    ] = None

    @property
    def world(self) -> World:
        """What kind of policy and tasks this is about; the model says."""
        return self.model.world

    @model_validator(mode="after")
    def _everything_is_of_one_world(self) -> "Curriculum":
        for place, task in self._tasks():
            if isinstance(task, Images) != (self.world == "vision"):
                raise broken_rule(OTHER_TASKS[self.world].format(task.type), *place, "type")
        for index, one in enumerate(self.benchmarks):
            if isinstance(one, Benchmark) and self.world == "vision":
                raise broken_rule("lm-eval asks language models; here a benchmark is `type: task`", "benchmarks", index)
        for place, method in self._methods():
            if method not in METHODS[self.world]:
                raise broken_rule(
                    f"method {method!r} is of the {OTHER[self.world]} world; here use {left(self.world)}", *place
                )
        return self

    def _tasks(self) -> list[tuple[tuple[str | int, ...], TaskConfig]]:
        """Every task, of stages and of benchmarks, with its place."""
        stages = [(("stages", index, "task"), one.task) for index, one in enumerate(self.stages)]
        benchmarks = [
            (("benchmarks", index, "task"), one.task)
            for index, one in enumerate(self.benchmarks)
            if isinstance(one, TaskBenchmark)
        ]
        return [*stages, *benchmarks]

    def _methods(self) -> list[tuple[tuple[str | int, ...], Method]]:
        """Every method that the file names, with its place."""
        fixed = [(("strategy", "method"), self.strategy.method)] if isinstance(self.strategy, FixedStrategy) else []
        tried = [(("strategy", "candidates", index), method) for index, method in enumerate(self._candidates())]
        own = [(("stages", index, "method"), one.method) for index, one in enumerate(self.stages) if one.method]
        return [*fixed, *tried, *own]

    def _candidates(self) -> list[Method]:
        """The methods among which the file lets a strategy choose, if it lists any."""
        return self.strategy.candidates or [] if isinstance(self.strategy, Trying | PythonStrategy) else []

    @model_validator(mode="after")
    def _an_adapter_is_not_put_on_an_adapter(self) -> "Curriculum":
        if getattr(self.model, "lora", None) is not None:
            for place, method in self._methods():
                if method == "lora":
                    raise broken_rule("with `model.lora` the policy is a LoRA adapter already; use 'sft'", *place)
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
    def _fixed_method_can_learn_every_task(self) -> "Curriculum":
        if isinstance(self.strategy, FixedStrategy):
            for index, stage in enumerate(self.stages):
                if stage.method is None:
                    _check_method(stage.task, self.strategy.method, "stages", index, "task")
        return self

    @model_validator(mode="after")
    def _candidates_fit_every_task(self) -> "Curriculum":
        candidates = self._candidates()
        for index, method in enumerate(candidates):
            if method in candidates[:index]:
                raise broken_rule(f"{method!r} is given twice", "strategy", "candidates", index)
        for index, stage in enumerate(self.stages):
            if candidates and stage.method is None and None not in map(stage.task.refusal, candidates):
                message = f"none of the strategy's candidates can learn this task: {stage.task.refusal(candidates[0])}"
                raise broken_rule(message, "stages", index, "task")
        return self

    @model_validator(mode="after")
    def _generic_prompts_have_a_file(self) -> "Curriculum":
        read, given = self.budget.prompts == "generic", self.budget.generic is not None
        if read and not given:
            message = "`budget.prompts: generic` and `budget.generic: FILE` go together"
            raise broken_rule(message, "budget", "prompts")
        if self.world == "vision" and given:
            message = "generic prompts are text, and this model sees images; use `prompts: seen` or `task`"
            raise broken_rule(message, "budget", "prompts" if read else "generic")
        return self

    @model_validator(mode="after")
    def _recovery_has_prompts(self) -> "Curriculum":
        if self.world == "language" and self.budget.enforces("recover") and self.budget.generic is None:
            raise broken_rule(
                "`recover` distils from the base on general prompts: name them with `budget.generic: FILE`, a "
                "JSON-lines file with a `prompt` a line, or `builtin:skills` for builtin:tiny",
                "budget",
                "enforce",
            )
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


def _check_method(task: TaskConfig, method: Method, *place: str | int) -> None:
    refusal = task.refusal(method)
    if refusal is not None:
        raise broken_rule(refusal, *place)
