"""Rewards to and from TRL's signature, `f(prompts, completions, completion_ids, **columns) -> list[float | None]`."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import show_error
from perdure.curriculum.task import Item, Reward

TrlReward = Callable[..., Any]
TRAINER_ARGUMENTS = ("trainer_state", "log_extra", "log_metric", "environments")
TRL_ARGUMENTS = ("prompts", "completions", "completion_ids", "prompt", "completion", *TRAINER_ARGUMENTS)


@dataclass(frozen=True)
class FromTrl:
    """A reward function with TRL's signature as a `Reward`.

    It is called as `GRPOTrainer` calls it: chat prompts come with completions `[{"role": "assistant", "content": …}]`,
    text prompts with text; every column of the items is a list, `answer` among them as the source has it (`None` where
    an item lacks it). Outside training `trainer_state` is a fresh one, the two loggers do nothing, and `completion_ids`
    is `None` if the caller has none. NaN and `None` are passed on.
    """

    scorer_name: ClassVar[str] = "perdure.curriculum.rewards.trl.FromTrl"

    function: TrlReward
    name: str

    @property
    def scorer_settings(self) -> str:
        """The function's module and name, as far as it has them."""
        return f"{getattr(self.function, '__module__', '')}:{getattr(self.function, '__qualname__', '')}"

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        outside = {"trainer_state": _FreshState(), "log_extra": _ignore, "log_metric": _ignore}
        return self.during_training(items, completions, completion_ids, outside)

    def during_training(
        self,
        items: Sequence[Item],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_arguments: dict[str, Any],
    ) -> list[float | None]:
        """Calls the function with arguments of the trainer.

        Raises:
            ConfigError: the function fails, or returns the wrong number of figures, or anything else.
        """
        arguments = {
            **_columns(items),
            "prompts": [item.prompt for item in items],
            "completions": [_as_trl_completion(item, text) for item, text in zip(items, completions, strict=True)],
            "completion_ids": None if completion_ids is None else [list(row) for row in completion_ids],
        }
        try:
            output = self.function(**arguments, **trainer_arguments)
            if inspect.isawaitable(output):
                output = asyncio.run(_wait(output))
        except Exception as error:
            raise ConfigError(f"the reward function {self.name!r} failed: {show_error(error)}") from error
        return self._checked(output, len(items))

    def _checked(self, output: Any, count: int) -> list[float | None]:
        try:
            values = list(output)
        except TypeError:
            raise ConfigError(
                f"the reward function {self.name!r} returned {type(output).__name__}, not a list of figures"
            ) from None
        if len(values) != count:
            raise ConfigError(
                f"the reward function {self.name!r} returned {len(values)} figures for {count} completions"
            )
        return [self._figure(value) for value in values]

    def _figure(self, value: Any) -> float | None:
        if value is None:
            return None
        try:
            if isinstance(value, (str, bytes)):
                raise TypeError
            return float(value)
        except (TypeError, ValueError):
            shown = repr(value)[:60]
            raise ConfigError(
                f"the reward function {self.name!r} returned {shown}; a reward is a number or None"
            ) from None


class _FreshState:
    """transformers' `TrainerState` of a trainer that has not begun, imported when it is first looked at."""

    def __getattr__(self, name: str) -> Any:
        from transformers.trainer_callback import TrainerState

        return getattr(TrainerState(), name)


def from_trl(function: TrlReward, name: str | None = None) -> Reward:
    """A `Reward` that calls a function with TRL's signature (see `FromTrl`)."""
    return FromTrl(function, name or str(getattr(function, "__name__", type(function).__name__)))


def as_trl(reward: Reward, items: Sequence[Item]) -> TrlReward:
    """A function for `GRPOTrainer(reward_funcs=…)`: it finds items by the integer column `item` and calls `reward`.

    Its `__name__`, under which TRL logs it, is `reward_title`.
    """

    def trl_reward(completions: Sequence[Any], item: Sequence[int], **given: Any) -> list[float | None]:
        chosen = [items[int(index)] for index in item]
        texts = [completion_text(completion) for completion in completions]
        ids = given.get("completion_ids")
        during_training = getattr(reward, "during_training", None)
        if during_training is not None:
            arguments = {key: given[key] for key in TRAINER_ARGUMENTS if key in given}
            return during_training(chosen, texts, ids, arguments)  # type: ignore[no-any-return]
        return reward(chosen, texts, ids)

    trl_reward.__name__ = reward_title(reward)
    return trl_reward


def reward_title(reward: Reward) -> str:
    """A short name for tables and logs."""
    return str(getattr(reward, "name", None) or getattr(reward, "__name__", None) or type(reward).__name__)


def completion_text(completion: Any) -> str:
    """The text of a completion in either of TRL's formats: text, or messages, of which the last counts if it is ours.

    An episode may end with what a tool returned.
    """
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion and completion[-1].get("role") == "assistant" else ""
    if isinstance(content, list):  # parts, as multi-modal templates have them
        content = "".join(part.get("text", "") for part in content)
    return content or ""


def _columns(items: Sequence[Item]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for item in items for name in item.columns if name not in TRL_ARGUMENTS)
    columns = {name: [item.columns.get(name) for item in items] for name in names}
    return {**columns, "answer": [item.answer if item.gold is None else item.gold for item in items]}


def _as_trl_completion(item: Item, text: str) -> Any:
    return text if isinstance(item.prompt, str) else [{"role": "assistant", "content": text}]


async def _wait(awaitable: Any) -> Any:
    return await awaitable


def _ignore(*_: Any, **__: Any) -> None:
    """Stands in for TRL's loggers outside training."""
