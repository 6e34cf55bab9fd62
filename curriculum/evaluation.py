"""How answers are scored, and by which benchmarks of lm-eval."""

from typing import Annotated, Literal

from pydantic import Field

from perdure.budget.bounds import Batch, Items, Level, Points, Seconds, Temperature, Tokens
from perdure.budget.config import Frozen

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A column title, or a stage's; also the name of its folder."""


class Evaluation(Frozen):
    """How held-out items are answered."""

    batch_size: Annotated[Batch, Field(ge=1, description="sequences answered or scored at once")] = 64
    max_completion_length: Annotated[Tokens, Field(ge=1, description="tokens of an answer")] = 32
    temperature: Annotated[
        Temperature,
        Field(ge=0, description="0: greedy answers; above: one sampled answer an item (benchmarks of lm-eval apart)"),
    ] = 0.0
    items: Annotated[
        Literal["auto", "all", "adaptive"],
        Field(
            description="how many items of a task or benchmark are asked after a stage: `all`; `adaptive`: until the "
            "change since the base is known to `precision`; `auto`: `adaptive` from 200 items on, but `all` where an "
            "answer is one step, as in the vision world. The base, the last row, a task's own stage and the row before "
            "it, groups of lm-eval and sampled answers are asked in full"
        ),
    ] = "auto"
    precision: Annotated[
        Points,
        Field(
            gt=0,
            description="points (hundredths of a score) within which the 95 % interval of the change over all items "
            "lies around its estimate",
        ),
    ] = 5.0
    generate_with: Annotated[
        Literal["transformers", "vllm"],
        Field(
            description="what generates held-out answers, the base's texts and trials; `vllm`: a server that is given "
            "the policy's weights (benchmarks of lm-eval apart)"
        ),
    ] = "transformers"
    vllm_server_base_url: Annotated[
        str,
        Field(pattern=r"^https?://\S+$", description="address of the vLLM server, by default TRL's; one run a server"),
    ] = "http://0.0.0.0:8000"
    vllm_server_timeout: Annotated[Seconds, Field(gt=0, description="seconds that one reply of it may take")] = 240.0


EVALUATION_BY_VLLM = tuple(
    ("evaluation", key) for key in ("generate_with", "vllm_server_base_url", "vllm_server_timeout")
)
"""The paths of what is for models of text alone."""


class Benchmark(Frozen):
    """One lm-eval task, measured and never trained on. Field names are lm-eval's. The default `type`."""

    type: Annotated[Literal["lm_eval"], Field(description="a task of lm-eval; the default")] = "lm_eval"
    tasks: Annotated[str, Field(description="the task's name in lm-eval", min_length=1)]
    name: Annotated[Name | None, Field(description="column title; default: `tasks`")] = None
    limit: Annotated[Items | None, Field(ge=2, description="first items only")] = None
    num_fewshot: Annotated[
        Level | None, Field(ge=0, description="examples before each item; default: the task's own")
    ] = None
    include_path: Annotated[
        str | None,
        Field(description="folder of task YAMLs, relative to this file; `builtin` for those shipped with perdure"),
    ] = None
    data_path: Annotated[
        str | None,
        Field(
            description="folder with what the task would fetch: datasets by hub id (`google/IFEval/`), `nltk_data/`; "
            "relative to this file"
        ),
    ] = None
    apply_chat_template: Annotated[bool, Field(description="put prompts into the chat template")] = False
    trust_task_code: Annotated[
        bool | None,
        Field(description="let task files of `include_path` execute Python (`!function`, metrics of `evaluate`)"),
    ] = None
    metric: Annotated[str | None, Field(description="which metric of the task; default: its first")] = None

    @property
    def title(self) -> str:
        return self.name or self.tasks
