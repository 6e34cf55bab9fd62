"""The first rows of a local data file, read without `datasets`, which takes seconds to import."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.tables import Cells, TableRows, TextRow, TextRows, csv_rows_of, json_rows_of

ROWS, BYTES = 1000, 2 * 2**20
"""The most rows that are read, and the most bytes of a file of text."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class FirstRows:
    """Rows from the beginning of a file.

    Attributes:
        whole: the file has no others.
    """

    rows: TableRows
    whole: bool


def first_rows(path: Path) -> FirstRows | None:
    """At most `ROWS` rows of a .json, .jsonl, .ndjson, .csv, .tsv or .parquet file.

    `None`: another kind of file, or one whose beginning cannot be read by itself, as that of a long JSON list.

    Raises:
        DataError: a row cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return _of_parquet(path)
        if suffix in JSON_SUFFIXES or suffix in DELIMITERS:
            return _of_text(path, suffix)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return None


def _of_text(path: Path, suffix: str) -> FirstRows | None:
    with path.open("rb") as stream:
        data = stream.read(BYTES + 1)
    complete = len(data) <= BYTES
    if not complete:
        data = data[: data.rfind(b"\n") + 1]
    if suffix in DELIMITERS:
        found = list(islice(_readable(csv_rows_of(data, str(path), DELIMITERS[suffix]), complete), ROWS + 1))
    elif not complete and data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return None
    else:
        found = list(islice(json_rows_of(data, str(path)), ROWS + 1))
        found = found if complete or len(found) > ROWS else found[:-1]  # the last object may go on
    whole = complete and len(found) <= ROWS
    return FirstRows(TextRows(found[:ROWS]), whole) if found else None


def _readable(rows: Iterator[TextRow], complete: bool) -> Iterator[TextRow]:
    """The rows; of a part of a file up to the first that cannot be read, since it may go on."""
    try:
        yield from rows
    except DataError:
        if complete:
            raise


@dataclass
class _ParquetRows:
    """The rows of one batch."""

    column_names: list[str]
    cells: list[Cells]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, number: int) -> Cells:
        return self.cells[number]

    def place(self, number: int) -> str:
        """See `TypedRows.place`."""
        return f"row {number}"


def _of_parquet(path: Path) -> FirstRows | None:
    import pyarrow.parquet
    from pyarrow.lib import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=ROWS), None)
            whole = file.metadata.num_rows <= ROWS
    except ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from None
    if batch is None:
        return None
    return FirstRows(_ParquetRows(batch.schema.names, batch.to_pylist()), whole)
