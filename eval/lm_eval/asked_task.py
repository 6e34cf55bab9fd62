"""An lm-eval task as its requests are built and answered: built once, and of some of its documents alone."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

from perdure.curriculum.worlds.cells import digest
from perdure.eval.lm_eval.templates import SECONDS, SECONDS_AN_ANSWER, limited

LmTask = Any
"""An `lm_eval.api.task.Task`."""

FEWSHOT_SEED = 1234
"""lm-eval's default."""


class CachedTask:
    """An lm-eval task that builds its requests once for each chat template."""

    def __init__(self, task: LmTask) -> None:
        self._task = task
        self._built_for: tuple[Any, ...] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def build_all_requests(self, *, chat_template: Any = None, **settings: Any) -> None:
        template = getattr(getattr(chat_template, "__self__", None), "tokenizer", None)
        key = (getattr(template, "chat_template", None), *sorted(settings.items()))
        if key != self._built_for:
            self._task.set_fewshot_seed(seed=FEWSHOT_SEED)
            with redirect_stderr(io.StringIO()):
                self._task.build_all_requests(chat_template=chat_template, **settings)
            self._built_for = key
        for instance in self._task.instances:
            instance.resps, instance.filtered_resps = [], {}

    def apply_filters(self) -> None:
        """As the task's own. Raises ConfigError: they take too long, as a regular expression may."""
        seconds = SECONDS + SECONDS_AN_ANSWER * len(self._task.instances)
        with limited(f"`filter_list` of task {self._task.task_name!r}", seconds):
            self._task.apply_filters()


class PartOfTask:
    """Some documents of a task, whose requests are built for all, so that each has the examples that it always has.

    lm-eval's own option, `samples`, draws the examples for the chosen documents alone.
    """

    def __init__(self, task: CachedTask, places: Sequence[int]) -> None:
        self._whole, self._places = task, frozenset(places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    @property
    def instances(self) -> list[Any]:
        """The requests of the chosen documents."""
        return [one for one in self._whole.instances if one.doc_id in self._places]

    def doc_iterator(self, **settings: Any) -> Iterator[tuple[int, Any]]:
        """The chosen documents with their places."""
        return (one for one in self._whole.doc_iterator(**settings) if one[0] in self._places)

    def apply_filters(self) -> None:
        """As `CachedTask.apply_filters`."""
        chosen = self.instances
        with limited(f"`filter_list` of task {self.task_name!r}", SECONDS + SECONDS_AN_ANSWER * len(chosen)):
            for each in self._filters:
                each.apply(chosen)


def rows_behind(task: LmTask, documents: Iterable[Mapping[str, Any]]) -> set[str]:
    """The hashes of the rows that a task's `process_docs` made its documents of; none where documents are rows.

    Most tasks add columns. Where a document does not hold its row, as of one that changes or drops columns, they are
    those of the whole split.
    """
    if getattr(task.config, "process_docs", None) is None:
        return set()
    rows = list(task.dataset[task.config.test_split if task.has_test_docs() else task.config.validation_split])
    columns = {name for row in rows for name in row}
    held = {digest({name: document.get(name) for name in columns}) for document in documents}
    known = {digest(row) for row in rows}
    return held if held <= known else known
