"""Splits of JSON and CSV files: which files, which rows of them, and how a dataset's card says they are written."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.tables import TextRow, TextRows, csv_rows, json_rows

ReadFile = Callable[[Path, str], Iterable[TextRow]]
READ_OF_CSV = ("sep", "delimiter", "quotechar", "names", "column_names", "features", "chunksize")
READ_OF_JSON = ("field", "features", "chunksize", "block_size", "use_threads", "on_mixed_types", "parse_agent_traces")


def reader_of(config: Any, where: str) -> ReadFile | None:
    """The reader of the files of a builder of `datasets` with this configuration; `None`: neither JSON nor CSV.

    Raises:
        DataError: the dataset's card sets something that is not read here.
    """
    kind = type(config).__name__
    if kind not in ("CsvConfig", "JsonConfig"):
        return None
    known = READ_OF_CSV if kind == "CsvConfig" else READ_OF_JSON
    general = {field.name for field in dataclasses.fields(type(config).__mro__[1])}
    usual = type(config)()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in (*general, *known) and value != getattr(usual, field.name):
            raise DataError(
                f"{where}: the dataset's card sets `{field.name}: {value}` for its files, which is not read here; "
                "write the files without it"
            )
    if kind == "JsonConfig":
        return lambda path, source: json_rows(path, source, config.field)
    return lambda path, source: csv_rows(path, source, config.sep, config.quotechar, config.names)


def read_split(name: str, files: Mapping[str, Sequence[str]], read: ReadFile) -> TextRows:
    """The rows of a split, named as `load_dataset` takes it: `train`, `train[:100]`, `train+test`.

    Raises:
        ValueError: there is no such split.
        DataError: a file that cannot be read.
    """
    from datasets import ReadInstruction

    splits = _Splits(files, read)
    parts = ReadInstruction.from_spec(name).to_absolute(splits)
    return TextRows([row for part in parts for row in splits.rows(part.splitname)[part.from_ : part.to]])


class _Splits(Mapping[str, int]):
    """The number of rows of every split; a split's files are read when it is asked for."""

    def __init__(self, files: Mapping[str, Sequence[str]], read: ReadFile) -> None:
        self._files = {str(split): paths for split, paths in files.items()}
        self._read = read
        self._rows: dict[str, list[TextRow]] = {}

    def rows(self, split: str) -> list[TextRow]:
        from datasets import DownloadManager

        if split not in self._rows:
            manager = DownloadManager()
            places = [
                (path, source)
                for source in self._files[split]
                for path in manager.iter_files([manager.download_and_extract(source)])
            ]
            self._rows[split] = [row for path, source in places for row in self._read(Path(path), source)]
        return self._rows[split]

    def __getitem__(self, split: str) -> int:
        return len(self.rows(split))

    def __contains__(self, split: object) -> bool:
        return split in self._files

    def __iter__(self) -> Any:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
