"""Rows of data files, every cell as the file says it.

`datasets` guesses a type for every column of a JSON or CSV file: `02109` becomes 2109, `True` true, 10**20 1e+20, a day
a timestamp. So these files are read here: a CSV's cells are text, and JSON keeps its own types.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from perdure.budget.errors import DataError
from perdure.budget.json_lines import Written, decode, pieces, read_json, read_object

Cells = dict[str, Any]
_LISTS = re.compile(rb"\[[^\n]*\][ \t\r]*\n\s*\[")
"""The beginning of a file with a list a line."""
NARROW = ("float16", "float32")


class TableRows(Protocol):
    """Rows with named columns; a column that a row lacks is `None`."""

    column_names: list[str]

    def __len__(self) -> int: ...

    def __getitem__(self, number: Any, /) -> Cells: ...

    def place(self, number: int) -> str:
        """The place of a row, for messages."""
        ...


@dataclass(frozen=True)
class TextRow:
    """One row of a JSON or CSV file; a JSON line is parsed when it is asked for. `line` 0: `source` says the place."""

    source: str
    line: int
    content: bytes | Cells

    def cells(self) -> Cells:
        """Its cells by column."""
        if isinstance(self.content, bytes):
            return read_object(self.content, self.source, self.line)
        return self.content


class TextRows:
    """Rows of JSON or CSV files.

    Raises:
        DataError: a line of JSON that cannot be read.
    """

    def __init__(self, rows: Sequence[TextRow]) -> None:
        self.column_names = list(dict.fromkeys(name for row in rows for name in row.cells()))
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Cells:
        return {**dict.fromkeys(self.column_names), **self._rows[number].cells()}

    def place(self, number: int) -> str:
        """See `Rows.place`: the file and the line."""
        row = self._rows[number]
        return f"{row.source}:{row.line}" if row.line else row.source


class TypedRows:
    """Rows of a `datasets.Dataset`, such as a parquet file's, whose columns have types.

    A number of 16 or 32 bits is `Written` with as many digits as it has: 0.1, where a `float` would say
    0.10000000149011612.

    Raises:
        DataError: a row cannot be read; `where` says whose.
    """

    def __init__(self, rows: Any, where: str) -> None:
        self.column_names: list[str] = rows.column_names
        self._where = where
        self._rows = rows
        dtypes = {name: getattr(feature, "dtype", None) for name, feature in rows.features.items()}
        self._narrow = {name: dtype for name, dtype in dtypes.items() if dtype in NARROW}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Cells:
        import numpy as np

        try:
            row = dict(self._rows[number])
        except Exception as error:  # damaged data, or a picture that is none
            raise DataError(f"{self._where}, row {number} cannot be read: {' '.join(str(error).split())}") from error
        for name, dtype in self._narrow.items():
            if row[name] is not None:
                row[name] = Written(str(np.dtype(dtype).type(row[name])), row[name])
        return row

    def place(self, number: int) -> str:
        """See `Rows.place`: the row's number, from 0."""
        return f"row {number}"


def json_rows(path: Path, source: str, field: str | None = None) -> Iterator[TextRow]:
    """The rows of a JSON file: one a line, or a list of them; with `field` that list of an object.

    A row is an object, a text (the column `text`), or a list, whose places are its columns: `0`, `1`, …

    Raises:
        DataError: it cannot be read, or holds no rows.
    """
    yield from json_rows_of(path.read_bytes(), source, field)


def json_rows_of(data: bytes, source: str, field: str | None = None) -> Iterator[TextRow]:
    """The rows of a JSON file's bytes; see `json_rows`."""
    bare = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if field is None and not bare.startswith(b"["):
        for line, piece in pieces(data):
            yield TextRow(source, line, piece)
        return
    if field is None and _LISTS.match(bare):
        for line, piece in enumerate(data.split(b"\n"), 1):
            if piece.strip():
                yield TextRow(source, line, _cells(read_json(piece, source, line), f"{source}:{line}: this"))
        return
    values = read_json(data, source)
    if field is not None:
        values = values.get(field) if isinstance(values, dict) else None
    for number, value in enumerate(values if isinstance(values, list) else [None], 1):
        cells = _cells(value, f"{source}: element {number} of the list")
        yield TextRow(f"{source}, element {number} of the list", 0, cells)


def _cells(value: Any, place: str) -> Cells:
    """The cells of one row; see `json_rows`."""
    if isinstance(value, list) and value:
        return {str(number): cell for number, cell in enumerate(value)}
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, dict):
        raise DataError(f"{place} is no object; every row must be one, or a list")
    return row


def csv_rows(
    path: Path, source: str, delimiter: str = ",", quotechar: str = '"', names: Sequence[str] | None = None
) -> Iterator[TextRow]:
    """The rows of a CSV file; the first line that is not blank names the columns, unless `names` does.

    A column without a name is `Unnamed: 0` (its place, from 0), as pandas calls it. A row may end early.

    Raises:
        DataError: quotes that do not close, two columns of one name, a row with more cells than there are columns.
    """
    yield from csv_rows_of(path.read_bytes(), source, delimiter, quotechar, names)


def csv_rows_of(
    data: bytes, source: str, delimiter: str = ",", quotechar: str = '"', names: Sequence[str] | None = None
) -> Iterator[TextRow]:
    """The rows of a CSV file's bytes; see `csv_rows`."""
    text = decode(data, source)
    csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))
    columns = list(names) if names else None
    for line, cells in _records(text, source, delimiter, quotechar):
        if columns is None:
            columns = [name or f"Unnamed: {place}" for place, name in enumerate(cells)]
            twice = next((name for name in columns if columns.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"{source}:{line}: two columns are called {twice!r}; rename one")
        elif len(cells) > len(columns):
            raise DataError(f"{source}:{line}: this row has {len(cells)} cells, and there are {len(columns)} columns")
        else:
            yield TextRow(source, line, dict(zip(columns, cells, strict=False)))


def _records(text: str, source: str, delimiter: str, quotechar: str) -> Iterable[tuple[int, list[str]]]:
    """The first line and the cells of every record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quotechar, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}:{line}: this is not CSV: {error}; a quote inside quotes is written twice") from None
