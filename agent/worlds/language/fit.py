"""Texts that do not fit the model are found before a run begins: their lengths, and what the chat template makes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from perdure.agent.worlds.language.chat import encode_demonstration, encode_prompt
from perdure.agent.worlds.language.methods.sdft import teacher_prompt
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.trl.config import build_config, samples
from perdure.agent.worlds.language.trl.rows import IMITATES, check_end
from perdure.budget.errors import ModelError
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.strategies import FixedStrategy
from perdure.curriculum.task import Task
from perdure.curriculum.train import settings_for
from perdure.curriculum.worlds.language.settings import Sdft
from perdure.curriculum.worlds.methods import Method
from perdure.eval.sampled_rewards import sampled_evaluation
from perdure.eval.unwrapped import unwrapped

RECALL = ("replay", "ewc", "cpo")
"""The modifiers that look at the demonstrations of earlier tasks."""


def refuse_unfit(
    policy: LanguagePolicy,
    curriculum: Curriculum,
    tasks: Sequence[Task],
    methods: Sequence[Sequence[str]],
    benchmarks: Sequence[Task],
    prompts: Mapping[str, Sequence[Any]],
) -> None:
    """See `World.refuse_unfit`. A task's stage is that of its name: another run of the base may have another order."""
    fit, stages = FitCheck(policy), {stage.name: stage for stage in curriculum.stages}
    for number, (task, possible) in enumerate(zip(tasks, methods, strict=True), 1):
        stage = stages[task.name]
        with _placed(f"stages.{stage.name}"):
            fit.hold_answers(task, curriculum)
            fit.hold_stage(curriculum, stage, tasks[:number], [curriculum.method(name) for name in possible])
    for task in benchmarks:
        with _placed(f"benchmark {task.name!r}"):
            fit.hold_answers(task, curriculum)
    for name, some in prompts.items():
        with _placed(f"budget, prompts of {name!r}"):
            remedy = "Lower budget.max_completion_length"
            fit.hold("texts of the base", fit.asked(some), curriculum.budget.max_completion_length, remedy)


def positions_of(model: Any) -> int | None:
    """The tokens that a text may have; `None` if the model has no limit, or stretches its positions."""
    config = unwrapped(model).config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [one.get("rope_type", "default") for one in (rope, *rope.values()) if isinstance(one, dict)]
    limit = getattr(config, "max_position_embeddings", None)
    plain = all(kind == "default" for kind in kinds)
    return limit if plain and isinstance(limit, int) and limit > 0 else None


class FitCheck:
    """Holds texts against a policy's positions and chat template. Everything raises ModelError where they do not fit.

    A task's training rows are encoded once.
    """

    def __init__(self, policy: LanguagePolicy) -> None:
        self.policy, self.positions = policy, positions_of(policy.model)
        self._rows: dict[str, list[int]] = {}

    def hold(self, what: str, lengths: Sequence[int], more: int, remedy: str) -> None:
        """Refuse texts of which one, with so many tokens `more`, is beyond the positions."""
        if self.positions is None or max(lengths, default=0) + more <= self.positions:
            return
        beyond = sum(length + more > self.positions for length in lengths)
        answer = f", {more} for the answer added," if more else ""
        raise ModelError(
            f"{beyond} of {len(lengths)} {what}{answer} are longer than the {self.positions} positions of the model "
            f"(the longest: {max(lengths) + more} tokens). {remedy}, or leave long items out"
        )

    def asked(self, prompts: Iterable[Any]) -> list[int]:
        """The tokens of each prompt."""
        return [len(encode_prompt(self.policy.tokenizer, prompt)) for prompt in prompts]

    def hold_answers(self, task: Task, curriculum: Curriculum) -> None:
        """The held-out items, as they are examined."""
        lengths, more = self.asked(item.prompt for item in task.heldout), curriculum.evaluation.max_completion_length
        self.hold("held-out prompts", lengths, more, "Lower evaluation.max_completion_length")

    def hold_stage(self, curriculum: Curriculum, stage: Stage, tasks: Sequence[Task], methods: list[Method]) -> None:
        """The training items of a stage, the last of `tasks`, by each method that it may come to use."""
        task = tasks[-1]
        asked = cache(lambda: self.asked(item.prompt for item in task.train))
        chosen = stage.method is None and not isinstance(curriculum.strategy, FixedStrategy)
        if chosen or curriculum.target_of(stage) is not None:
            more = sampled_evaluation(curriculum, stage).max_completion_length
            more = max(more if chosen else 0, curriculum.evaluation.max_completion_length)
            self.hold("prompts to be tried", asked(), more, "Lower evaluation.max_completion_length")
        for method in methods:
            own = settings_for(method, curriculum.train, stage.train).objective
            config = build_config(method, own, folder=Path(), seed=0, device_type="cpu", autocast="None")
            if samples(method):
                remedy = "Lower train.max_completion_length"
                self.hold("training prompts", asked(), config.max_completion_length, remedy)
            if isinstance(own, Sdft):
                taught = self.asked(teacher_prompt(own.teacher_template, item) for item in task.train)
                self.hold(
                    "teacher's prompts", taught, config.max_completion_length, "Lower train.max_completion_length"
                )
            most = None if samples(method) else config.max_length
            for one in tasks if any(method.has(name) for name in RECALL) else tasks[-1:]:
                if method.needs & IMITATES or one is not task:
                    rows = [min(length, most or length) for length in self._rows_of(one)]
                    self.hold(f"training rows of {one.name!r}", rows, 0, "Lower train.trl.max_length")

    def _rows_of(self, task: Task) -> list[int]:
        """The tokens of each demonstration with its prompt."""
        if task.name not in self._rows:
            shown = [item for item in task.train if item.demonstration is not None]
            self._rows[task.name] = [len(encode_demonstration(self.policy.tokenizer, item)[0]) for item in shown]
            for item in shown[:1]:
                check_end(self.policy.model, self.policy.tokenizer, item)
        return self._rows[task.name]


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Put the place in front of what is refused inside."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{place}: {error}") from error
