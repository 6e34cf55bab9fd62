"""Rewards that no answer can hold up or bring down: they run in a process that is killed and replaced (`process.py`).

An answer on which perdure's own verifiers exceed their time or memory, fail or crash scores 0 and is counted in
`unscored` (`take_unscored`). A user's function that fails, ends its process or takes too long in
every call is the user's to mend; where a call takes too long, its answers are tried one by one, and one that still does
scores 0 and is counted.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import printable
from perdure.curriculum.task import Item, Reward
from perdure.curriculum.worlds.language.rewards.process import DiedError, RewardProcess, functions, verifiers

SECONDS_AN_ANSWER = 10.0
SECONDS_A_CALL = 300.0
PATIENCE = 20
"""Seconds of the clock for one of a processor, before a verifier that does not compute is ended, too."""
CALLS_AT_FIRST = 3
"""Calls of a function that never returned, each too long, before it is given up."""
CALLS_IN_A_ROW = 20
"""The same for a function that returned before."""
LONGEST = 1_000_000
"""Characters of an answer that a verifier is given."""


@dataclass(frozen=True)
class RewardRecipe:
    """How a reward is made: a function by dotted path, its arguments (plain values), and what the reward is called."""

    maker: str
    arguments: dict[str, Any]
    name: str
    scorer_name: str
    settings: str = ""
    """Those that scores depend on, unless the items tell them."""

    @property
    def text(self) -> str:
        """The recipe as it is sent."""
        return json.dumps([self.maker, self.arguments])


class Guarded:
    """The base of both kinds of rewards in another process: names, and the count of answers that got no verdict."""

    def __init__(self, recipe: RewardRecipe, limit: float, process: RewardProcess) -> None:
        self.name, self.scorer_name = recipe.name, recipe.scorer_name
        self.scorer_settings = recipe.settings
        self.unscored: Counter[str] = Counter()
        self._recipe, self._limit, self._process = recipe.text, limit, process
        process.make(self._recipe)


class GuardedVerifier(Guarded):
    """A verifier of perdure's: each answer is scored on its own."""

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        answers = [
            (_sent(item), text if len(text) <= LONGEST else None) for item, text in zip(items, completions, strict=True)
        ]
        scores: dict[int, float | None] = {
            number: self._none("too long") for number, (_, text) in enumerate(answers) if text is None
        }
        with self._process.lock:
            try:
                self._score(answers, scores)
            except BaseException:
                self._process.stop()  # its replies would be taken for those to the next question
                raise
        return [scores[number] for number in range(len(answers))]

    def _score(self, answers: Sequence[Any], scores: dict[int, float | None]) -> None:
        """Fills in the scores that are missing; an answer on which the process dies is tried twice."""
        tried = -1
        while missing := [number for number in range(len(answers)) if number not in scores]:
            self._process.wait(self._recipe)
            number = missing[0]
            try:
                self._process.send("each", self._recipe, self._limit, [answers[one] for one in missing])
                for number in missing:
                    reply = self._process.receive(PATIENCE * self._limit)
                    scores[number] = self._none(reply) if isinstance(reply, str) else reply
            except DiedError as death:
                self._process.stop()
                if death.late or number == tried:
                    scores[number] = self._none("too slow" if death.late else "crashed")
                tried = number

    def _none(self, why: str) -> float:
        self.unscored[why] += 1
        return 0.0


class GuardedFunction(Guarded):
    """A user's reward: it gets its items and answers together, whole, and TRL's loggers and state while it trains."""

    def __init__(self, recipe: RewardRecipe, limit: float, process: RewardProcess) -> None:
        super().__init__(recipe, limit, process)
        self._too_long, self._patience = 0, CALLS_AT_FIRST
        process.wait(self._recipe)

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        return self._scores(items, completions, completion_ids, None)

    def during_training(
        self,
        items: Sequence[Item],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None,
        trainer_arguments: dict[str, Any],
    ) -> list[float | None]:
        """As `FromTrl.during_training`; the function sees the fields of `trainer_state`, and its logs are handed on."""
        return self._scores(items, completions, completion_ids, trainer_arguments)

    def _scores(self, items: Sequence[Item], texts: Sequence[str], ids: Any, trainer: Any) -> list[float | None]:
        request = ([_sent(item) for item in items], list(texts), ids, _state(trainer))
        with self._process.lock:
            try:
                reply = self._reply(request)
            except DiedError as death:
                if not death.late:
                    raise ConfigError(
                        f"the reward function {self.name!r} ended the process that it ran in ({death.how}); "
                        "a reward returns figures, and never exits"
                    ) from None
                self._check_patience()
                if len(texts) > 1:
                    return [
                        self._scores([item], [text], ids and [ids[number]], trainer)[0]
                        for number, (item, text) in enumerate(zip(items, texts, strict=True))
                    ]
                self.unscored["too slow"] += 1
                return [0.0]
        self._too_long, self._patience = 0, CALLS_IN_A_ROW
        _hand_on(reply, trainer or {})
        if "error" in reply:
            raise ConfigError(reply["error"])
        return list(reply["scores"])

    def _check_patience(self) -> None:
        self._too_long += 1
        if self._too_long >= self._patience:
            raise ConfigError(
                f"the reward function {self.name!r} took longer than `reward.timeout`, {self._limit:g} s, in "
                f"{self._too_long} calls one after another, those with a single answer among them; mend the function, "
                "or raise `reward.timeout`"
            )

    def _reply(self, request: tuple[Any, ...]) -> dict[str, Any]:
        """The reply to a call, which is made a second time where someone else killed the process."""
        for last in (False, True):
            try:
                self._process.wait(self._recipe)
                self._process.send("together", self._recipe, *request, limit=self._limit)
                reply: dict[str, Any] = self._process.receive(self._limit)
                return reply
            except DiedError as death:
                self._process.stop()
                if (
                    last or not death.killed
                ):  # who was killed is innocent: Linux does it when the thread that began it ends
                    raise
            except BaseException:
                self._process.stop()
                raise
        raise AssertionError


def verifier(recipe: RewardRecipe, timeout: float | None) -> Reward:
    """A verifier of perdure's in a process of its own."""
    return GuardedVerifier(recipe, SECONDS_AN_ANSWER if timeout is None else timeout, verifiers())


def function(recipe: RewardRecipe, timeout: float | None) -> Reward:
    """A user's reward in a process of its own.

    Raises:
        ConfigError: it cannot be made there.
    """
    return GuardedFunction(recipe, SECONDS_A_CALL if timeout is None else timeout, functions())


def _sent(item: Item) -> dict[str, Any]:
    return vars(item) | {"columns": dict(item.columns)}


def _state(trainer: dict[str, Any] | None) -> dict[str, Any] | None:
    """The plain fields of TRL's `trainer_state`; `None` outside training."""
    if trainer is None:
        return None
    fields = getattr(trainer.get("trainer_state"), "__dict__", {})
    return {name: value for name, value in fields.items() if isinstance(value, int | float | str | list | dict | None)}


def _hand_on(reply: dict[str, Any], trainer: dict[str, Any]) -> None:
    """Prints what the function printed, and gives TRL what it logged."""
    if reply["printed"]:
        print(printable(reply["printed"]), end="", flush=True)
    for logger, name, value in reply["logged"]:
        if logger in trainer:
            trainer[logger](name, value)
