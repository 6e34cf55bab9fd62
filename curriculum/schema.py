"""The curriculum: what a YAML file may say. Importing it imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from perdure.budget.config import BudgetConfig, Frozen, broken_rule
from perdure.curriculum.sources import TaskConfig
from perdure.curriculum.train import Method, Train

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class LoraConfig(Frozen):
    """One low-rank adapter over an untouched base, through peft; field names are peft's."""

    r: Annotated[int, Field(ge=1, description="rank")] = 16
    lora_alpha: Annotated[float, Field(gt=0, description="scale; the update is multiplied by lora_alpha / r")] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the adapter's input")] = 0.0
    target_modules: Annotated[str | list[str], Field(description="which layers, as peft takes them")] = "all-linear"


class ModelConfig(Frozen):
    """The base model."""

    model_name_or_path: Annotated[str, Field(description="a hub id, a local folder, or `builtin:tiny`", min_length=1)]
    revision: Annotated[str | None, Field(description="branch, tag or commit on the hub")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(description="`auto`: bfloat16 on a GPU that has it, else float32"),
    ] = "auto"
    device: Annotated[str, Field(description="`auto` (CUDA if there is one, else CPU), `cpu`, `cuda`, `cuda:1`, …")] = (
        "auto"
    )
    threads: Annotated[
        int | Literal["auto"], Field(description="CPU threads; `auto`: one for models below 20 M parameters")
    ] = "auto"
    trust_remote_code: Annotated[bool, Field(description="run Python code that comes with the model")] = False
    lora: Annotated[LoraConfig | None, Field(description="train an adapter instead of the weights")] = None


class FixedStrategy(Frozen):
    """One method for every stage that names none itself."""

    type: Literal["fixed"]
    method: Annotated[Method, Field(description="the method")]


class AutoStrategy(Frozen):
    """Chooses by the base rate, the demonstrations and the budget left (see `agent/strategies/auto.py`)."""

    type: Literal["auto"]
    num_prompts: Annotated[int, Field(ge=1, description="training prompts on which the base rate is measured")] = 32
    k: Annotated[int, Field(ge=1, description="samples a prompt, for pass@k")] = 8
    success: Annotated[float, Field(gt=0, le=1, description="pass@k below which there is no success to reinforce")] = (
        0.05
    )
    success_reward: Annotated[float, Field(description="reward from which a sample counts as a success")] = 0.5
    little_budget: Annotated[
        float, Field(ge=0, le=1, description="share of the budget left at or below which the budget is little")
    ] = 0.5


StrategyConfig = Annotated[FixedStrategy | AutoStrategy, Field(discriminator="type")]


class Evaluation(Frozen):
    """How held-out items are answered."""

    batch_size: Annotated[int, Field(ge=1, description="sequences answered or scored at once")] = 64
    max_completion_length: Annotated[int, Field(ge=1, description="tokens of an answer")] = 32


class Benchmark(Frozen):
    """One lm-eval task that is measured and never trained on; field names are lm-eval's."""

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


class Stage(Frozen):
    """One task's turn in the stream."""

    name: Annotated[Name, Field(description="column title and folder name; unique")]
    task: Annotated[TaskConfig, Field(description="where the items come from")]
    method: Annotated[Method | None, Field(description="overrules the strategy for this stage")] = None
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
        list[Benchmark], Field(description="what the base can already do: lm-eval tasks, measured and never trained on")
    ] = []
    evaluation: Annotated[Evaluation, Field(description="how held-out items are answered")] = Evaluation()

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
    def _generic_prompts_have_a_file(self) -> "Curriculum":
        if (self.budget.prompts == "generic") != (self.budget.generic is not None):
            message = "`budget.prompts: generic` and `budget.generic: FILE` go together"
            raise broken_rule(message, "budget", "prompts" if self.budget.generic is None else "generic")
        return self


def _check_method(task: TaskConfig, method: Method, *place: str | int) -> None:
    try:
        task.check_method(method)
    except ValueError as error:
        raise broken_rule(str(error), *place) from None
