"""Tasks from data: anything that `datasets.load_dataset` reads, or one file. Code that comes with data never runs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.hub import fetch
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.sources.common import Exam, check_answers, readable, shared_out
from perdure.curriculum.worlds.language.sources.golds import MOST_ROWS, find_reading
from perdure.curriculum.worlds.language.sources.rows import RowReader
from perdure.curriculum.worlds.language.tasks import Dataset

PLACE = {"name", "revision", "data_files"}
"""The settings of `fetch` beside the path."""


def load(
    config: Dataset,
    *,
    name: str,
    seed: int,
    origin: Path | None = None,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """Items from `split` in shuffled order, and held-out items from data of their own or cut from the same split.

    Training and held-out questions are different, and no prompt comes twice. If `split` has fewer items than are
    asked for, all are used: of a split that is cut at most half (and at least two) are held out.

    Raises:
        DataError: data that is missing, unreachable, empty, too little, or without a column the curriculum names.
    """
    where = f"task {name!r}: dataset {config.path!r}"
    _refuse_split_of_a_file(config, where, origin)
    left_out: Counter[str] = Counter()
    items = _usable(_items(config, where, origin, seed), config, left_out)
    limit = None if isinstance(config.heldout, int) else config.heldout.limit
    exam: int | Exam = config.heldout if isinstance(config.heldout, int) else 0
    if config.apart is not None:
        other = f"task {name!r}, `heldout`: dataset {config.apart.path!r}"
        found = _usable(_items(config.apart, other, origin, seed), config, left_out)
        exam = Exam(found, limit, f"{other}, split {config.apart.split!r}")
    train, heldout = shared_out(items, exam, train=config.train, where=where, left_out=left_out, examined=examined)
    if config.reward is None:
        return Task(name, train, heldout, left_out=left_out)
    task = Task(name, train, heldout, build_reward(config.reward), left_out)
    check_answers(task, config.reward.type, where)
    return task


def _usable(items: Iterator[Item], config: Dataset, left_out: Counter[str]) -> Iterator[Item]:
    if config.unreadable == "refuse" or config.reward is None:
        return items
    return readable(items, str(config.reward.type), left_out)


def _refuse_split_of_a_file(config: Dataset, where: str, origin: Path | None) -> None:
    other = config.apart
    if other is None or (other.path, other.where) != (config.path, config.where):
        return
    if fetch(config.path, where, origin, **config.model_dump(include=PLACE)).file is not None:
        raise DataError(f"{where}: `path` is one file; `heldout.split` goes with a folder or a hub id")


def _items(config: Dataset, where: str, origin: Path | None, seed: int) -> Iterator[Item]:
    """Every row, or every element of the exploded columns, as an item, in an order that follows from the seed."""
    source = fetch(config.path, where, origin, **config.model_dump(include=PLACE))
    rows, where = source.rows(config.split), f"{where}, split {config.split!r}"
    for column in config.explode:
        refuse_missing(column, rows, where)
    reader = RowReader(config, where, tuple(rows.column_names), rows.place)
    places = places_of(rows, chosen_rows(rows, reader), config, where)
    Random(f"dataset/{seed}").shuffle(places)
    reader = with_reading(reader, rows, places)
    for number, element in places:
        yield reader.item(row_at(rows, number, element, config), number)


def refuse_missing(column: str, rows: Any, where: str) -> None:
    """Raise DataError if there is no column of this name to explode."""
    if column not in rows.column_names:
        raise DataError(
            f"{where}: no column {column!r} to explode{did_you_mean(column, rows.column_names)} "
            f"(there are {', '.join(rows.column_names)})"
        )


def row_at(rows: Any, number: int, element: int, config: Dataset) -> dict[str, Any]:
    """A row with one element of each exploded column."""
    row: dict[str, Any] = rows[number]
    return row | {column: row[column][element] for column in config.explode}


def with_reading(reader: RowReader, rows: Any, places: list[tuple[int, int]]) -> RowReader:
    """The reader, with the one reading of the answers where they choose among options."""
    if not reader.chooses:
        return reader
    asked = places[:MOST_ROWS]
    answers = [one for place in asked for one in reader.choices(row_at(rows, *place, reader.config))]
    return replace(reader, reading=find_reading(reader.config, answers, reader.where))


def chosen_rows(rows: Any, reader: RowReader) -> list[int]:
    """The numbers of the rows that `where` lets through.

    Raises:
        DataError: no row remains; says what values there are.
    """
    wanted = reader.config.where
    if not wanted:
        return list(range(len(rows)))
    seen: dict[str, set[str]] = {path: set() for path in wanted}
    missing: dict[str, DataError] = {}
    chosen = []
    for number in range(len(rows)):
        row, values = rows[number], {}
        for path in wanted:
            try:
                values[path] = reader.value(row, path, f"{reader.where}, {rows.place(number)}: `where`")
                seen[path].add(str(values[path]))
            except DataError as error:  # a map inside a row may lack a key that others have
                values[path] = None
                missing.setdefault(path, error)
        if all(_is_one_of(value, wanted[path]) for path, value in values.items()):
            chosen.append(number)
    nowhere = next((path for path in missing if not seen[path]), None)
    if nowhere is not None:
        raise missing[nowhere]
    if not chosen:
        found = "; ".join(f"{path} is {', '.join(sorted(values)[:12])}" for path, values in seen.items())
        raise DataError(f"{reader.where}: no row is as `where` says; in the rows {found}")
    return chosen


def _is_one_of(value: Any, wanted: Any) -> bool:
    """True if a cell has one of the values; a cell of text also has the value that it spells: `3`, `True`."""
    many = wanted if isinstance(wanted, list) else [wanted]
    return value in many or (isinstance(value, str) and any(_spells(value, one) for one in many))


def _spells(text: str, value: Any) -> bool:
    if isinstance(value, bool):
        return text.casefold() == str(value).casefold()
    try:
        return isinstance(value, (int, float)) and float(text) == value
    except ValueError:
        return False


def places_of(rows: Any, chosen: list[int], config: Dataset, where: str) -> list[tuple[int, int]]:
    """The row and element of every item; the element is 0 if nothing is exploded."""
    if not config.explode:
        return [(number, 0) for number in chosen]
    places = []
    for number in chosen:
        lists = [rows[number][column] for column in config.explode]
        shapes = {len(values) if isinstance(values, list) else None for values in lists}
        if len(shapes) > 1 or None in shapes:
            names = " and ".join(map(repr, config.explode))
            raise DataError(f"{where}, {rows.place(number)}: to be exploded, {names} must be lists of equal length")
        places += [(number, element) for element in range(shapes.pop() or 0)]
    return places
