"""The record of every optimiser step of a stage, from which the training curves are read.

While a stage is trained its steps are lines of `steps.jsonl` in the stage's partial folder, on the disk before each
checkpoint. An update that goes on from a checkpoint drops the lines of all later steps and writes them again, so that
the record is that of a run which never stopped, but for `time`. At the end of the stage it becomes `steps.parquet`,
which is committed with the stage and which `--redo-from` removes with it.

Trials of a strategy and steps of a recovery are no steps of the stage, and are not in it.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.agent.run.folder import read_json
from perdure.budget import ranks
from perdure.budget.errors import RunError
from perdure.budget.files import first_damaged, naming, sync, write_atomic
from perdure.budget.plain_json import from_words, with_words

if TYPE_CHECKING:
    import pandas
    import pyarrow

FIGURES = ("loss", "reward", "reward_std", "entropy", "mean_length", "learning_rate", "grad_norm")
"""The figures of a step, by TRL's names (`completions/mean_length` as `mean_length`)."""

LINES, TABLE = "steps.jsonl", "steps.parquet"

WRITTEN_EVERY = 1.0
"""Seconds between the times at which lines are written though no checkpoint is; one that looks on reads them."""


@dataclass(frozen=True)
class Step:
    """One optimiser step of a stage, just made.

    Attributes:
        stage: its number, from 1.
        name: the stage's.
        step: of the stage, from 1.
        run_step: of the run: the steps of all stages before, and those of this one.
        time: seconds since 1970.
        figures: a number or `None` for each of `FIGURES`; a number may be NaN or infinite.
    """

    stage: int
    name: str
    step: int
    run_step: int
    time: float
    figures: Mapping[str, float | None]


class StepRecord:
    """Writes the steps of one stage; `before` are the run's steps in all stages before."""

    def __init__(self, folder: Path, stage: int, name: str, before: int, clock: Callable[[], float] = time.time):
        self._folder, self._stage, self._name, self._before, self._clock = folder, stage, name, before, clock
        self._waiting: list[bytes] = []
        self._last = -1
        self._written = clock()

    def add(self, step: int, figures: Mapping[str, float | None]) -> Step:
        """Note a step. One that does not follow on the last drops itself and all later ones first.

        Raises:
            OSError: such as a full disk.
        """
        if step != self._last + 1 and ranks.is_main():
            self.sync()
            self._keep_before(step)
        made = Step(self._stage, self._name, step, self._before + step, round(self._clock(), 3), dict(figures))
        if not ranks.is_main():
            return made
        self._waiting.append(_line(_row(made)))
        self._last = step
        if made.time - self._written >= WRITTEN_EVERY:
            self._write()
        return made

    def sync(self) -> None:
        """Wait until all steps are on the disk: before a checkpoint of the last one is written. Raises as `add`."""
        if not ranks.is_main():
            return
        self._write()
        path = self._folder / LINES
        if path.exists():
            sync(path)
            sync(self._folder)

    def close(self, steps: int) -> None:
        """The stage ended after so many steps: make the table of them. Raises as `add`."""
        if not ranks.is_main():
            return
        import pyarrow
        from pyarrow import parquet

        self._write()
        rows = [row for row in _lines(self._folder / LINES) if row["step"] <= steps]
        data = pyarrow.BufferOutputStream()
        parquet.write_table(_table(rows), data)
        write_atomic(self._folder / TABLE, data.getvalue().to_pybytes())

    def _keep_before(self, step: int) -> None:
        path = self._folder / LINES
        if path.exists():
            write_atomic(path, b"".join(_line(row) for row in _lines(path) if row["step"] < step))

    def _write(self) -> None:
        """Append what waits, or leave the file as it was."""
        self._written = self._clock()
        if not self._waiting:
            return
        path = self._folder / LINES
        with naming(path), path.open("ab", buffering=0) as file:
            start, data = file.tell(), b"".join(self._waiting)
            try:
                while data:
                    data = data[file.write(data) :]
            except OSError:
                os.ftruncate(file.fileno(), start)
                raise
        self._waiting = []


def waiting_steps(folder: Path) -> list[Step]:
    """The steps in the lines of a folder."""
    about = ("stage", "name", "step", "run_step", "time")
    return [
        Step(**{name: row[name] for name in about}, figures={name: row.get(name) for name in FIGURES})
        for row in _lines(folder / LINES)
    ]


def read_steps(folder: Path, stage: int | None = None) -> "pandas.DataFrame":
    """Every optimiser step of the run in a folder, or of one of its stages; runs of older versions have none.

    Columns: `stage`, `name`, `step`, `run_step` and `time` (see `Step`), and `FIGURES`, NaN where there is none. The
    stage that is being trained has the steps that are on the disk.

    Raises:
        RunError: a record is damaged.
    """
    frame: pandas.DataFrame = step_table(folder, stage).to_pandas()
    return frame


def step_table(folder: Path, stage: int | None = None) -> "pyarrow.Table":
    """The same as `read_steps`, with null where there is no figure; it needs no pandas, whose import takes a while."""
    import pyarrow

    found = [table for number, path in _stages(folder) if stage in (None, number) for table in _read(path)]
    return pyarrow.concat_tables(found) if found else _table([])


def _stages(folder: Path) -> list[tuple[int, Path]]:
    """The stages' folders by number; a partial one comes behind the same stage committed."""
    paths = [path for path in (folder / "stages").glob("*-*") if path.name.split("-")[0].isdecimal()]
    return sorted((int(path.name.split("-")[0]), path) for path in paths)


def _read(path: Path) -> "Iterator[pyarrow.Table]":
    import pyarrow

    if path.suffix == ".partial":
        yield _table(list(_lines(path / LINES)))
    elif (path / TABLE).exists():
        try:
            fault = first_damaged(path, {TABLE: read_json(path / "stage.json")["files"][TABLE]})
            table = None if fault else _read_table(path / TABLE)
        except (OSError, LookupError, TypeError, pyarrow.ArrowException) as error:
            fault = f"{path / TABLE} cannot be read: {error}"
        if fault is not None:
            raise RunError(f"{fault}. Put it back from a copy; the run's other results do not depend on it")
        yield table


def _read_table(path: Path) -> "pyarrow.Table":
    """The table, without pandas, which `pyarrow.parquet.read_table` imports."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        return file.read().select(_schema().names).cast(_schema())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a record: one that a kill tore ends it."""
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
        try:
            yield from_words(json.loads(line))
        except (ValueError, LookupError, TypeError):
            return


def _line(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, allow_nan=False).encode() + b"\n"
    except ValueError:  # a number is not finite
        return json.dumps(with_words(row), allow_nan=False).encode() + b"\n"


def _row(step: Step) -> dict[str, Any]:
    return {name: value for name, value in vars(step).items() if name != "figures"} | dict(step.figures)


def _table(rows: Iterable[Mapping[str, Any]]) -> "pyarrow.Table":
    import pyarrow

    return pyarrow.Table.from_pylist(list(rows), schema=_schema())


def _schema() -> "pyarrow.Schema":
    import pyarrow

    number, text, real = pyarrow.int64(), pyarrow.string(), pyarrow.float64()
    about = [("stage", number), ("name", text), ("step", number), ("run_step", number), ("time", real)]
    return pyarrow.schema([*about, *((name, real) for name in FIGURES)])
