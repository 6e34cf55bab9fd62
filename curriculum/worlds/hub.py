"""Loads a dataset, a file, folder or hub id, by `datasets.load_dataset`; its errors say what to do."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.worlds.splits import read_split, reader_of
from perdure.curriculum.worlds.tables import TableRows, TypedRows

BUILDERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".ndjson": ("json", {}),
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".parquet": ("parquet", {}),
}
READERS = ("json", "csv", "parquet", "text", "arrow")
"""Readers of `datasets` that stand in place of a path, with the files in `data_files`."""
COMPRESSION_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
HUB_TIMEOUT = 5.0  # to wait for the hub's first answer
HUB_REMEDY = (
    "download it on another machine and give its folder or file as the task's `path`, for example with "
    "`--set stages.N.task.path=FOLDER` (N counts from 0)"
)


@dataclass(frozen=True)
class Fetched:
    """A dataset, read one split at a time: a file, a folder, or what `path` names on the hub or as a reader."""

    path: str
    where: str
    file: str | None = None
    folder: Path | None = None
    name: str | None = None
    revision: str | None = None
    data_files: str | list[str] | None = None
    remedy: str = HUB_REMEDY

    def split(self, name: str) -> Any:
        """One split as a `datasets.Dataset`.

        Raises:
            DataError: it cannot be loaded, there is no such split, or the split is empty.
        """
        return self._filled(name, self._load)

    def rows(self, name: str) -> TableRows:
        """One split, every cell as its file says it: see `worlds.tables`.

        Raises:
            DataError: see `split`; a line that cannot be read.
        """
        rows: TableRows = self._filled(name, self._rows)
        return rows

    def _filled(self, name: str, read: Callable[[str], Any]) -> Any:
        try:
            with _quiet(), _offline(self._is_on_the_hub and not self._hub_answers()):
                rows = read(name)
        except (ConnectionError, TimeoutError) as error:
            raise DataError(self._unreachable()) from error
        except DataError:
            raise
        except Exception as error:
            raise DataError(self._explain(error, name)) from error
        if len(rows) == 0:
            raise DataError(f"{self.where}: split {name!r} is empty")
        return rows

    @property
    def _is_on_the_hub(self) -> bool:
        return self.file is None and self.folder is None and self.path not in READERS

    def _load(self, name: str) -> Any:
        from datasets import load_dataset

        saved = self._saved(name)
        if saved is not None:
            return saved
        path, arguments = self._arguments(name)
        return load_dataset(path, split=name, **arguments)

    def _rows(self, name: str) -> TableRows:
        from datasets import load_dataset_builder

        saved = self._saved(name)
        if saved is not None:
            return TypedRows(saved, self.where)
        path, arguments = self._arguments(name)
        builder = load_dataset_builder(path, **arguments)
        reader = reader_of(builder.config, self.where)
        if reader is None:
            return TypedRows(self._load(name), self.where)
        return read_split(name, builder.config.data_files, reader)

    def _arguments(self, split: str) -> tuple[str, dict[str, Any]]:
        if self.file is not None:
            builder, options = BUILDERS[_suffix(self.file)]
            return builder, {"data_files": {split: self.file}, **options}
        given = {"name": self.name, "data_files": self.data_files}
        if self.folder is not None:
            return str(self.folder), given
        return self.path, given if self.path in READERS else {**given, "revision": self.revision}

    def _saved(self, name: str) -> Any:
        """The split of a folder that `save_to_disk` wrote, else `None`."""
        if self.folder is None or not any(
            (self.folder / mark).exists() for mark in ("dataset_dict.json", "state.json")
        ):
            return None
        from datasets import DatasetDict, load_from_disk

        try:
            loaded = load_from_disk(str(self.folder))
        except Exception as error:
            raise DataError(
                f"{self.where}: the folder has the marks of one that `save_to_disk` wrote and cannot be read: "
                f"{type(error).__name__}: {' '.join(str(error).split())}; give the files themselves, or write it again"
            ) from error
        splits = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
        if name not in splits:
            raise DataError(self._no_split(name, list(splits)))
        return splits[name]

    def _hub_answers(self) -> bool:
        """Ask once and briefly whether the dataset is there; `load_dataset` itself would try for half a minute.

        Raises:
            DataError: the hub answers that there is no such dataset, or that it is not for us.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

        try:
            HfApi().dataset_info(self.path, revision=self.revision, timeout=HUB_TIMEOUT)
        except GatedRepoError as error:
            raise DataError(
                f"{self.where} is gated on the hub: accept its terms there and log in with `hf auth login`"
            ) from error
        except RepositoryNotFoundError as error:
            raise DataError(
                f"{self.where}: there is no such file or folder here and no such dataset on the hub "
                "(a private one needs `hf auth login`)"
            ) from error
        except HfHubHTTPError:
            return True  # it answers; let `load_dataset` say what is wrong
        except Exception:
            return False
        return True

    def _unreachable(self) -> str:
        return (
            f"the hub cannot be reached for {self.path!r} ({self.where}), and there is no copy of it in the "
            f"cache and no file or folder of that name here; {self.remedy}"
        )

    def _explain(self, error: Exception, split: str) -> str:
        message = str(error)
        unknown = re.match(r"Unknown split \"(.*?)\". Should be one of (\[.*?\])", message)
        if unknown:
            return self._no_split(split, re.findall(r"'([^']*)'", unknown[2]))
        urls = [path for path in (self.path, *_listed(self.data_files)) if "://" in path]
        if urls and isinstance(error, FileNotFoundError):
            return (
                f"{self.where} cannot be loaded: {urls[0]} is not there or cannot be reached; download it and give the "
                "file as the task's `path`, for example with `--set stages.N.task.path=FILE` (N counts from 0)"
            )
        if error.__cause__ is not None:
            message = f"{message} ({error.__cause__})"
        return f"{self.where} cannot be loaded: {' '.join(message.split()) or type(error).__name__}"

    def _no_split(self, name: str, splits: list[str]) -> str:
        return f"{self.where} has no split {name!r}{did_you_mean(name, splits)} (it has {', '.join(splits)})"


def fetch(
    path: str,
    where: str,
    origin: Path | None = None,
    *,
    name: str | None = None,
    revision: str | None = None,
    data_files: str | list[str] | None = None,
    remedy: str = HUB_REMEDY,
) -> Fetched:
    """Finds out whether `path` is a file (here or a URL), a folder or a hub id. Nothing is read yet.

    `name`, `revision` and `data_files` are as `load_dataset` takes them; `remedy` says what to do if the hub cannot be
    reached.

    Raises:
        DataError: a path that leads nowhere, or a file of a kind that is not read.
    """
    local = None if "://" in path else _find(path, origin)
    if local is not None and local.is_dir():
        return Fetched(path, where, None, local, name, revision, data_files, remedy)
    if local is not None and not local.is_file():
        raise DataError(f"{where}: {local} is neither a file nor a folder")
    if local is not None or "://" in path:
        if _suffix(path) not in BUILDERS:
            raise DataError(f"{where}: a file must end in {', '.join(BUILDERS)}, plain or compressed")
        if data_files is not None:
            raise DataError(f"{where}: `path` is one file; `data_files` goes with a folder or a hub id")
        return Fetched(path, where, str(local or path), remedy=remedy)
    if _looks_like_a_path(path):
        starts = [str(origin)] if origin is not None and origin.resolve() != Path.cwd() else []
        tried = "" if Path(path).is_absolute() else f" (looked in {' and '.join([*starts, str(Path.cwd())])})"
        raise DataError(f"{where}: there is no file or folder {path!r}{tried}")
    if path in READERS and data_files is None:
        raise DataError(f"{where}: {path!r} is a reader of files; say which by `data_files`")
    return Fetched(path, where, None, None, name, revision, data_files, remedy)


def _find(path: str, origin: Path | None) -> Path | None:
    given = Path(path).expanduser()
    starts = [start for start in (origin, Path.cwd()) if start is not None]
    return next((start / given for start in starts if (start / given).exists()), None)


def _looks_like_a_path(path: str) -> bool:
    return path.startswith(("/", ".", "~")) or path.count("/") > 1 or "\\" in path or _suffix(path) in BUILDERS


def _suffix(path: str) -> str:
    """`.json` of a path or a URL, compressed or not."""
    name = Path(path.split("?", maxsplit=1)[0])
    return (name.with_suffix("") if name.suffix in COMPRESSION_SUFFIXES else name).suffix.lower()


def _listed(files: str | list[str] | None) -> list[str]:
    return [files] if isinstance(files, str) else files or []


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the progress bars of `datasets`, which would break the live table."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            enable_progress_bars()


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """`datasets` as with HF_HUB_OFFLINE=1: from the cache at once or not at all."""
    import datasets.config

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before
