"""A Parquet file of episodes: one row a step.

Columns: `episode`, a number or name, equal in the rows of an episode, which stand in order; `observation`, a list of
numbers, or several `observation.NAME`; `action`, a number or a list; and, if there, `reward` and `success` of the step.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.control.demonstrations.recording import Recording, chosen

PREFIX = "observation"


def read_parquet(file: Path, wanted: Sequence[str] | None, space: Any) -> Iterator[Recording]:
    """The episodes of a file, in its order.

    Raises:
        DataError: the file is damaged, or a column is missing.
    """
    table = read_table(file)
    for name in ("episode", "action"):
        if name not in table.column_names:
            raise DataError(f"{file}: it has no column {name!r}; it has {', '.join(map(repr, table.column_names))}")
    for number, part in by_episode(table, "episode"):
        place = f"{file}, episode {number!r}"
        columns = observed(part, [name for name in table.column_names if is_observation(name)], place)
        yield recording(part, chosen(columns, wanted, space, place), place, reward="reward", success="success")


def read_table(file: Path) -> Any:
    """A Parquet file as a table of pyarrow.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is no Parquet file: {' '.join(str(error).split())}") from None


def by_episode(table: Any, column: str) -> Iterator[tuple[Any, Any]]:
    """The number or name of each episode, which stands in a column, and its rows."""
    places: dict[Any, list[int]] = {}
    for row, number in enumerate(table.column(column).to_pylist()):
        places.setdefault(number, []).append(row)
    for number, rows in places.items():
        yield number, table.take(rows)


def is_observation(name: str) -> bool:
    """True for `observation` and `observation.NAME`."""
    return name == PREFIX or name.startswith(f"{PREFIX}.")


def observed(table: Any, names: Sequence[str], place: str) -> Mapping[str, NDArray[Any]]:
    """The observations of a table, by their names without `observation.`."""
    return {name.removeprefix(f"{PREFIX}."): array(table, name, place) for name in names}


def recording(table: Any, observations: Any, place: str, *, reward: str, success: str) -> Recording:
    """An episode of the rows of a table; its rewards and successes stand in these columns, if there are such."""
    rewards = array(table, reward, place).astype(np.float64).ravel() if reward in table.column_names else None
    succeeded = array(table, success, place).astype(bool).ravel() if success in table.column_names else None
    return Recording(place, observations, array(table, "action", place), rewards, succeeded)


def array(table: Any, name: str, place: str) -> NDArray[Any]:
    """A column as an array, one row a step; images are decoded.

    Raises:
        DataError: its rows are of several shapes, or no numbers.
    """
    values = table.column(name).to_pylist()
    try:
        if values and isinstance(values[0], Mapping) and "bytes" in values[0]:
            return np.stack([_picture(one["bytes"]) for one in values])
        found = np.array(values)
    except (ValueError, OSError, TypeError) as error:
        raise DataError(f"{place}: column {name!r}: {' '.join(str(error).split())}") from None
    if found.dtype.kind not in "biuf":
        raise DataError(f"{place}: column {name!r} holds no numbers in some rows")
    return found


def _picture(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
