"""The answers of a run, item by item, before and after: read from its score files. Imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from perdure.agent.run.state import RunState, StageState
from perdure.budget.errors import RunError
from perdure.curriculum.messages import did_you_mean
from perdure.eval.scorefile import ItemResult, ScoreFile, read_scores

ItemOutcome = Literal["lost", "gained", "same", "unscored"]


@dataclass(frozen=True)
class ItemAnswers:
    """One item: the base's answer and score, and those after a stage. Older score files hold no `prompt`."""

    id: str
    prompt: str | None
    expected: str | None
    base: str | None
    answer: str | None
    base_score: float | None
    score: float | None

    @property
    def outcome(self) -> ItemOutcome:
        """`lost`: it scored less than the base's answer; `unscored`: one of the two has no score."""
        if self.base_score is None or self.score is None:
            return "unscored"
        return "lost" if self.score < self.base_score else "gained" if self.score > self.base_score else "same"


@dataclass(frozen=True)
class ColumnAnswers:
    """The items of one task or benchmark; `fault` says why there are none."""

    name: str
    items: tuple[ItemAnswers, ...] = ()
    fault: str | None = None
    not_asked: int = 0
    """Further items, of which the answers to others were enough (`evaluation.items`)."""

    def count(self, outcome: ItemOutcome) -> int:
        """The number of items with an outcome."""
        return sum(item.outcome == outcome for item in self.items)


def scored_stage(record: RunState, stage: int | None) -> StageState:
    """The row of a stage, by default the last that has scores.

    Raises:
        RunError: there is no such stage, or it is not scored.
    """
    scored = [row for row in record.rows if row.scores]
    if not scored:
        raise RunError(f"nothing of {record.run or 'the run'} is scored yet")
    if stage is None:
        return scored[-1]
    found = next((row for row in scored if row.stage == stage), None)
    if found is None:
        known = ", ".join(str(row.stage) for row in scored)
        raise RunError(f"--stage {stage}: no such stage is scored; scored are {known} (0 is the base)")
    return found


def run_answers(
    record: RunState, run_folder: Path, task: str | None = None, stage: int | None = None
) -> list[ColumnAnswers]:
    """The answers after a stage beside the base's, a column each; those that changed first, what was lost before all.

    Raises:
        RunError: the run has no such task, benchmark or stage.
    """
    row, base = scored_stage(record, stage), record.row(0)
    names = (*record.tasks, *record.benchmarks)
    if task is not None and task not in names:
        raise RunError(f"--task {task}: the run has {', '.join(names)}{did_you_mean(task, names)}")
    return [_column(base, row, name, run_folder) for name in ([task] if task is not None else names)]


def answers_object(record: RunState, stage: StageState, columns: Sequence[ColumnAnswers]) -> dict[str, Any]:
    """The object that `perdure answers RUN --json` prints."""
    return {
        "run": record.run,
        "stage": stage.stage,
        "name": stage.name,
        "columns": [
            {
                "name": column.name,
                "fault": column.fault,
                "not_asked": column.not_asked,
                **{outcome: column.count(outcome) for outcome in ORDER},
                "items": [asdict(item) | {"outcome": item.outcome} for item in column.items],
            }
            for column in columns
        ],
    }


ORDER: tuple[ItemOutcome, ...] = ("lost", "gained", "same", "unscored")


def _column(base: StageState | None, row: StageState, name: str, run_folder: Path) -> ColumnAnswers:
    found: list[ScoreFile] = []
    for one in (base, row):
        file = None if one is None else one.score_files.get(name)
        if file is None:
            return ColumnAnswers(name, fault=f"{name} is not scored {'before' if one is base else 'after'} this stage")
        stored = read_scores(run_folder / file)
        if stored is None:
            return ColumnAnswers(name, fault=f"{run_folder / file} is missing or damaged; its answers cannot be shown")
        found.append(stored)
    before, after = ({item.id: item for item in one.items} for one in found)
    if before.keys() != after.keys():
        return ColumnAnswers(name, fault=f"the score files of {name} hold other items than the base's")
    pairs = [_pair(before[key], item) for key, item in after.items() if item.asked]
    return ColumnAnswers(name, tuple(sorted(pairs, key=_place)), not_asked=len(after) - len(pairs))


def _pair(before: ItemResult, after: ItemResult) -> ItemAnswers:
    prompt = after.prompt if after.prompt is not None else before.prompt
    answers = before.completion, after.completion
    return ItemAnswers(after.id, prompt, after.expected, *answers, before.score, after.score)


def _place(item: ItemAnswers) -> tuple[int, float]:
    """Lost, gained, then the rest, in each the lowest score first."""
    return ORDER.index(item.outcome), 0.0 if item.score is None else item.score
