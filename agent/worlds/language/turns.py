"""Episodes in environments whose methods are tools, played by TRL's own loop, so that they are as in training.

Only the tokens that the policy wrote count: those that a tool returned are given, as the prompt is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from perdure.budget import ranks
from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.import_path import show_error
from perdure.curriculum.task import Message, Task
from perdure.curriculum.worlds.language.environments import (
    EnvironmentPrompt,
    reset,
    reward_in,
    text_of,
    tools_of,
)
from perdure.curriculum.worlds.language.machine import NO_TOOLS

TokenIds = list[int]
Generate = Callable[[list[TokenIds], int], list[TokenIds]]
"""Completions of prompts, one each; the number is of the turn."""


@dataclass(frozen=True)
class Opening:
    """An episode before the policy's first turn."""

    environment: Any
    messages: list[Message]
    prompt_ids: TokenIds
    tools: list[Callable[..., Any]]


@dataclass(frozen=True)
class Episode:
    """An episode: the tokens after the prompt, which of them the policy wrote, and its turns."""

    prompt_ids: TokenIds
    completion_ids: TokenIds
    written: list[bool]
    turns: list[Message]
    environment: Any

    @property
    def text(self) -> str:
        """As one line of JSON, with the environment's own reward if it has one."""
        own = getattr(self.environment, "get_reward", None)
        return text_of(self.turns, None if own is None else reward_in(self.environment))


def refuse_template(tokenizer: Any, task: Task) -> None:
    """Refuse a chat template without tools, or whose calls nobody knows how to read, and tools without descriptions.

    Raises:
        ModelError: the template.
        ConfigError: the tools.
    """
    from transformers.utils.chat_template_utils import get_json_schema
    from trl.chat_template_utils import add_response_schema, supports_tool_calling

    where = f"task {task.name!r} is played with tools"
    if ranks.count() > 1:
        raise ConfigError(f"{where}, which one process does, and these are {ranks.count()}; start one")
    if not supports_tool_calling(tokenizer):
        raise ModelError(f"{where}, and {NO_TOOLS}")
    try:
        if getattr(tokenizer, "response_template", None) is None:
            add_response_schema(tokenizer)
        prefix_template(tokenizer)
    except ValueError as error:
        raise ModelError(
            f"{where}, and TRL cannot read calls in the answers of this chat template: {error} Give the tokenizer a "
            "`response_template` (tokenizer_config.json), or take a model that TRL knows"
        ) from error
    prompt: EnvironmentPrompt = (*task.train, *task.heldout)[0].prompt
    for tool in tools_of(prompt.begun()[0]):
        try:
            get_json_schema(tool)
        except Exception as error:
            raise ConfigError(
                f"environment {prompt.path!r}: the tool `{tool.__name__}` cannot be described to the model: "
                f"{show_error(error)}. Give it type hints, and a docstring with its `Args:`"
            ) from error


def prefix_template(tokenizer: Any) -> str | None:
    """The template that training and playing use in place of the tokenizer's, if earlier turns would change in that.

    Raises:
        ValueError: TRL knows none.
    """
    from trl.chat_template_utils import get_training_chat_template, is_chat_template_prefix_preserving

    return None if is_chat_template_prefix_preserving(tokenizer) else get_training_chat_template(tokenizer)


def opened(tokenizer: Any, prompt: EnvironmentPrompt, template: str | None = None) -> Opening:
    """Reset an environment, and write its prompt with its tools."""
    environment, messages = prompt.begun()
    tools = tools_of(environment)
    ids = tokenizer.apply_chat_template(
        [messages],
        tools=tools,
        chat_template=template or prefix_template(tokenizer),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )["input_ids"][0]
    return Opening(environment, messages, list(ids), tools)


def play(
    tokenizer: Any, model: Any, prompts: Sequence[EnvironmentPrompt], *, length: int, generate: Generate
) -> list[Episode]:
    """An episode of each prompt, in order, of at most `length` tokens with what the tools return.

    Raises:
        ConfigError: an environment fails; a tool that does is told to the policy, as in training.
    """
    from trl.chat_template_utils import parse_response

    template = prefix_template(tokenizer)
    openings = [opened(tokenizer, prompt, template) for prompt in prompts]
    loop = _loop(tokenizer, model, openings, prompts[0].turns, template, length, generate)
    prompt_ids = [one.prompt_ids for one in openings]
    completion_ids = generate(prompt_ids, 0)
    turns = [
        [parse_response(tokenizer, ids, prefix=one.prompt_ids, tools=one.tools)]
        for one, ids in zip(openings, completion_ids, strict=True)
    ]
    asked = [list(one.messages) for one in openings]
    masks, turns, completion_ids, *_ = loop._tool_call_loop(asked, prompt_ids, completion_ids, turns, None, None, {})
    return [
        Episode(opening.prompt_ids, list(ids), [bool(one) for one in mask], said, opening.environment)
        for opening, ids, mask, said in zip(openings, completion_ids, masks, turns, strict=True)
    ]


def _loop(
    tokenizer: Any,
    model: Any,
    openings: Sequence[Opening],
    turns: int,
    template: str | None,
    length: int,
    generate: Generate,
) -> Any:
    """The part of TRL's trainer that plays: its own loop over calls, with these environments and this policy."""
    from trl import GRPOTrainer

    class Loop:
        _tool_call_loop = GRPOTrainer._tool_call_loop
        _get_tool_suffix_ids = GRPOTrainer._get_tool_suffix_ids
        use_vllm = _is_vlm = False
        environment_factories = True

        def __init__(self) -> None:
            self.processing_class = self._tokenizer = tokenizer
            self.model, self.chat_template, self.chat_template_kwargs = model, template, dict[str, Any]()
            self.max_completion_length, self.max_tool_calling_iterations = length, turns
            self.tools = openings[0].tools
            self._env_tools = {number: one.tools for number, one in enumerate(openings)}
            self._batch_environments = list(range(len(openings)))
            self._sync_tool_dicts = [{tool.__name__: tool for tool in one.tools} for one in openings]
            self._async_tool_dicts: list[dict[str, Any]] = [{} for _ in openings]
            self.turn = 0

        def _generate_single_turn(self, prompt_ids: list[TokenIds], *_: Any, **__: Any) -> tuple[list[TokenIds], None]:
            self.turn += 1
            return generate(prompt_ids, self.turn), None

    return Loop()


def environment_factory(prompts: Sequence[EnvironmentPrompt]) -> type[Any]:
    """The class of the environments, for `GRPOTrainer(environment_factory=…)`: `reset` finds the row by its number."""
    own = prompts[0].factory

    def begin(self: Any, item: int, **_: Any) -> str | None:
        prompt = prompts[int(item)]
        return reset(_Resetting(partial(own.reset, self)), prompt)

    return type(own.__name__, (own,), {"reset": begin, "__module__": own.__module__, "__doc__": own.__doc__})


@dataclass(frozen=True)
class _Resetting:
    """An environment, of which only `reset` is asked."""

    reset: Callable[..., Any]
