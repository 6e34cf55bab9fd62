"""Environments whose public methods are tools, as TRL's `environment_factory` takes them, and their prompts.

An episode stands for an answer: one line of JSON with its reward and its turns.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.task import Item, Message, Messages, Reward, question, scorer_key, shown
from perdure.curriculum.worlds.language.environment_task import ENVIRONMENT

RESET, GET_REWARD = "reset", "get_reward"


@dataclass(frozen=True)
class EnvironmentPrompt:
    """A prompt that is answered by turns.

    Attributes:
        path: `module:Class` of the environment.
        messages: the prompt before `reset` adds to it.
        row: what `reset` is given.
        turns: turns with calls of tools, after which the episode ends.
        factory: the class.
        asks_all: the messages are the whole question: what else the row holds makes no other item of it.
    """

    plays: ClassVar[bool] = True

    path: str
    messages: Messages
    row: Mapping[str, Any]
    turns: int
    factory: type[Any] = field(compare=False, repr=False)
    asks_all: bool = False

    @property
    def identity(self) -> str:
        """See `perdure.curriculum.task.question`: the messages and, where they do not ask all, the row."""
        more = "" if self.asks_all else self._more
        return question(self.messages) + (f" {more}" if more else "")

    @property
    def words(self) -> str:
        """The prompt as people read it."""
        more = self._more
        return shown(self.messages) + (f"\n{more}" if more else "")

    @property
    def _more(self) -> str:
        cells = {name: value for name, value in self.row.items() if name != "prompt"}
        return json.dumps(cells, sort_keys=True, default=str) if cells else ""

    def __str__(self) -> str:
        return json.dumps([self.path, self.messages, dict(self.row), self.turns], sort_keys=True, default=str)

    def begun(self) -> tuple[Any, Messages]:
        """A new environment that was reset, and the messages with what `reset` returned.

        Raises:
            ConfigError: it fails, or returns no text.
        """
        environment = _called(self.factory, f"environment {self.path!r} cannot be made")
        return environment, with_observation(self.messages, reset(environment, self))


def environment_class(path: str) -> type[Any]:
    """The class of an environment.

    Raises:
        ConfigError: nothing there, no class of this form, one without tools, or with a tool that is `async`.
    """
    found: Any = load_function(path, ENVIRONMENT)
    shown_path = f"the environment {path!r}"
    if not inspect.isclass(found):
        raise ConfigError(f"{shown_path} is no class; it must be {ENVIRONMENT.signature}")
    methods = dict(inspect.getmembers(found, predicate=inspect.isfunction))
    if RESET not in methods:
        raise ConfigError(f"{shown_path} has no method `reset`; it must be {ENVIRONMENT.signature}")
    tools = {name: one for name, one in methods.items() if _is_tool(name)}
    if not tools:
        raise ConfigError(f"{shown_path} has no tools: no public method beside `reset` and `get_reward`")
    slow = [name for name, one in methods.items() if inspect.iscoroutinefunction(one)]
    if slow:
        raise ConfigError(f"{shown_path}: `{slow[0]}` is `async`, which is not played here; write it without")
    return found


def tools_of(environment: Any) -> list[Callable[..., Any]]:
    """The tools of an environment: its bound public methods, by name."""
    names = (name for name, _ in inspect.getmembers(type(environment), predicate=inspect.isfunction))
    return [getattr(environment, name) for name in names if _is_tool(name)]


def has_own_reward(factory: type[Any]) -> bool:
    """True if the class scores its episodes."""
    return inspect.isfunction(getattr(factory, GET_REWARD, None))


def reset(environment: Any, prompt: EnvironmentPrompt) -> str | None:
    """Begin an episode; the text that it adds to the prompt, if any.

    Raises:
        ConfigError: it fails, or returns no text.
    """
    said = _called(lambda: environment.reset(**prompt.row), f"environment {prompt.path!r}: `reset` failed")
    if not isinstance(said, (str, type(None))):
        raise ConfigError(f"environment {prompt.path!r}: `reset` returned {type(said).__name__}; give text, or None")
    return said


def with_observation(messages: Messages, observation: str | None) -> Messages:
    """The messages, the last of which goes on with the observation."""
    *before, last = messages
    return [*before, {**last, "content": last["content"] + (observation or "")}]


def reward_in(environment: Any) -> float | None:
    """The environment's own reward.

    Raises:
        ConfigError: it fails, or gives no number or `None`.
    """
    where = f"environment {type(environment).__name__!r}: `get_reward`"
    value = _called(environment.get_reward, f"{where} failed")
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{where} returned {type(value).__name__}; give a number, or None") from None


def text_of(turns: Sequence[Message], reward: float | None) -> str:
    """An episode as one line of JSON."""
    return json.dumps({"reward": reward, "turns": list(turns)}, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class EpisodeReward:
    """The reward of an episode: the environment's own, or that of a reward by name for its last words."""

    of_words: Reward | None = None

    @property
    def name(self) -> str:
        """Its short name, for tables."""
        return str(getattr(self.of_words, "name", None) or GET_REWARD)

    @property
    def scorer_settings(self) -> str:
        """The reward of its last words; an environment's own is told by its path in each item."""
        return "" if self.of_words is None else scorer_key(self.of_words)

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        """The rewards of episodes as `text_of` writes them."""
        episodes = [json.loads(text) for text in completions]
        if self.of_words is None:
            return [one["reward"] for one in episodes]
        return self.of_words(as_asked(items), [_last_words(one["turns"]) for one in episodes], completion_ids)

    def during_training(
        self,
        items: Sequence[Item],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_arguments: Mapping[str, Any],
    ) -> list[float | None]:
        """The rewards of the environments that TRL played; `completions` are their last words."""
        if self.of_words is None:
            return [reward_in(one) for one in trainer_arguments["environments"]]
        return self.of_words(as_asked(items), completions, completion_ids)


def as_asked(items: Sequence[Item]) -> list[Item]:
    """The items with their messages as prompts, as rewards of answers take them."""
    from dataclasses import replace

    return [replace(item, prompt=item.prompt.messages) for item in items]


def _is_tool(name: str) -> bool:
    return not name.startswith("_") and name not in (RESET, GET_REWARD)


def _last_words(turns: Sequence[Message]) -> str:
    said = turns[-1].get("content") if turns and turns[-1].get("role") == "assistant" else ""
    return said if isinstance(said, str) else ""


def _called(function: Callable[[], Any], fault: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise ConfigError(f"{fault}: {show_error(error)}") from error
