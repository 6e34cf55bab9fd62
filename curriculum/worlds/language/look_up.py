"""Looks up what a task of the language world names: a dataset of reasoning-gym, the columns of a local file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.messages import Path
from perdure.curriculum.sandbox.registry import open_sandbox
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.contract import LookedUp, LookUpFault
from perdure.curriculum.worlds.first_rows import FirstRows, first_rows
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.rewards.code import item_tests
from perdure.curriculum.worlds.language.sources.common import READABLE
from perdure.curriculum.worlds.language.sources.dataset import (
    chosen_rows,
    places_of,
    refuse_missing,
    row_at,
    with_reading,
)
from perdure.curriculum.worlds.language.sources.rows import RowReader
from perdure.curriculum.worlds.language.tasks import Dataset, ReasoningGym, ToolAlpaca

WHERE = "the data"


def look_up(source: Any) -> LookedUp:
    """See `WorldSpec.look_up`."""
    found = _source(source)
    return replace(found, faults=(*_sandbox(source), *found.faults))


def _sandbox(source: Any) -> Iterator[LookUpFault]:
    """The fault of a sandbox that this machine lacks."""
    if source.reward is None or source.reward.sandbox is None:
        return
    try:
        open_sandbox(source.reward.sandbox)
    except ConfigError as error:
        yield LookUpFault(("reward", "sandbox", "type"), str(error))


def _source(source: Any) -> LookedUp:
    if isinstance(source, ReasoningGym):
        from perdure.curriculum.worlds.language.sources import reasoning_gym

        return LookedUp(tuple(reasoning_gym.look_up(source)))
    if isinstance(source, ToolAlpaca):
        others = () if isinstance(source.heldout, int) else (source.heldout.path,)
        return LookedUp(unseen=tuple(f"the instances of {path}" for path in (source.path, *others)))
    if isinstance(source, EnvironmentTask):
        return _rows_of(source)
    if not isinstance(source, Dataset):
        return LookedUp()
    found = _looked_up(source, ())
    if source.apart is None:
        return found
    other = _looked_up(source.apart, ("heldout",))
    return LookedUp((*found.faults, *other.faults), (*found.unseen, *other.unseen))


def _rows_of(source: EnvironmentTask) -> LookedUp:
    """Local rows need a prompt; others are not looked into."""
    files: dict[Path, str] = {("data",): source.data}
    if not isinstance(source.heldout, int):
        files["heldout", "path"] = source.heldout.path
    faults: list[LookUpFault] = []
    for place, path in files.items():
        if source.prompt is not None or not FilePath(path).is_file():
            continue
        try:
            head = first_rows(FilePath(path))
        except DataError as error:
            faults.append(LookUpFault(place, str(error)))
            continue
        columns = ["prompt"] if head is None else head.rows.column_names
        if "prompt" not in columns:
            listed = ", ".join(columns)
            faults.append(LookUpFault(place, f"no column `prompt` (there are {listed}); give the task's `prompt`"))
    unseen = [f"the rows of {path}" for path in files.values() if not FilePath(path).is_file()]
    return LookedUp(tuple(faults), tuple(unseen))


def _looked_up(source: Dataset, above: Path) -> LookedUp:
    try:
        head = first_rows(FilePath(source.path)) if FilePath(source.path).is_file() else None
        if head is None:
            return LookedUp(unseen=(f"the rows of {source.path}",))
        return LookedUp(tuple(replace(one, path=(*above, *one.path)) for one in _faults(source, head)))
    except DataError as error:
        return LookedUp((LookUpFault((*above, "path"), str(error)),))


def _faults(config: Dataset, head: FirstRows) -> Iterator[LookUpFault]:
    """Every column that is not there, then the first row that cannot be read."""
    rows = head.rows
    reader = RowReader(config, WHERE, tuple(rows.column_names), rows.place)
    for index, column in enumerate(config.explode):
        try:
            refuse_missing(column, rows, WHERE)
        except DataError as error:
            yield LookUpFault(("explode", index), str(error))
            return
    try:
        chosen = chosen_rows(rows, reader)
    except DataError as error:
        if head.whole:
            yield LookUpFault(("where",), str(error))
        return
    places = places_of(rows, chosen, config, WHERE)
    missing = list(_missing(reader, rows, places[:1]))
    yield from missing
    if missing:
        return
    if reader.chooses and not head.whole:  # how the answers are written, all rows tell
        return
    reader = with_reading(reader, rows, places)
    for number, element in places:
        item = reader.item(row_at(rows, number, element, config), number)
        unreadable = _unrewardable(config, item, f"{WHERE}, {rows.place(number)}")
        if unreadable is not None:
            yield unreadable
            return


def _missing(reader: RowReader, rows: Any, places: list[tuple[int, int]]) -> Iterator[LookUpFault]:
    """The columns of `columns` that the first row lacks."""
    for number, element in places:
        row = row_at(rows, number, element, reader.config)
        for ours, theirs in reader.config.columns.items():
            try:
                reader.value(row, theirs, f"{WHERE}, {rows.place(number)}")
            except DataError as error:
                yield LookUpFault(("columns", ours), str(error))


def _unrewardable(config: Dataset, item: Item, place: str) -> LookUpFault | None:
    """The fault of an item whose answer the task's reward cannot read."""
    kind = None if config.reward is None else config.reward.type
    if kind == "code_tests" and not item_tests(item.columns):
        return LookUpFault(
            ("reward",), f"{place} has no tests, which reward 'code_tests' runs; name them by `columns.tests`"
        )
    if kind not in READABLE or config.unreadable == "leave_out":
        return None
    if kind == "math_verify" and item.answer is not None:  # to read mathematics takes long
        return None
    if item.answer is None:
        message = f"{place} has no answer, and reward {kind!r} compares with it; name its column by `columns.answer`"
        return LookUpFault(("reward",), message)
    sought, readable = READABLE[kind]
    if readable(item):
        return None
    return LookUpFault(("reward",), f"{place}: reward {kind!r} finds no {sought} in the answer {item.answer[:80]!r}")
