"""Per-item results on disk: `scores/02-german.word.jsonl`, a header line and one line per item. Imports no torch.

The header holds the parts of the key, the score, and the SHA-256 of the lines below it, which reveals a truncated or
altered file. The key says what was scored, whatever the file is called. Files are written atomically.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from perdure.budget.files import write_atomic
from perdure.budget.plain_json import json_text, without_nan

FORMAT = 1
FOLDER = "scores"
ScoreKind = Literal["task", "benchmark"]
BASE_ROW = "00-base"
"""The row of the base, in names of files."""


@dataclass(frozen=True)
class Asked:
    """How much of a score was asked (`perdure.eval.asking`): `n` of so many items.

    `low` and `high` bound its change since the base over all items, at 95 %.
    """

    n: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """The score on one task or benchmark: the mean of `item_values`, NaN without items.

    `stderr` is `None` below two items. `dropped` items have no value, as the reward did not apply to the answer;
    `broken` ones count 0 in `item_values`, as the reward was not finite.
    """

    name: str
    kind: ScoreKind
    value: float
    stderr: float | None
    n: int
    item_ids: tuple[str, ...]
    item_values: tuple[float, ...]
    dropped: int = 0
    broken: int = 0
    truncated: int = 0
    """Scored answers that were cut off at `evaluation.max_completion_length`."""
    by_member: bool = False
    """True for a group in which each task counts alike: `value` is the mean of its tasks' means, not of its items."""
    asked: Asked | None = None
    """Known where some of the items were asked alone: `value` is then the base's, over all items, and the mean change
    of those asked (`perdure.eval.adaptive.score_of_part`).
    """


@dataclass(frozen=True)
class ItemResult:
    """One item: its id, its score (`None`: dropped) and details such as prompt, completion, note."""

    id: str
    score: float | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """False where the answers to other items were enough."""
        return not self.details.get("not_asked")

    @property
    def prompt(self) -> str | None:
        """The prompt as shown; `None` in files of older versions."""
        return _shown(self.details.get("prompt"))

    @property
    def expected(self) -> str | None:
        """The expected answer, or several, joined by `or`; `None` where none is known."""
        return _shown(next((self.details[key] for key in EXPECTED if self.details.get(key) is not None), None))

    @property
    def completion(self) -> str | None:
        """The answer; `None` where log-likelihoods alone were compared."""
        return _shown(self.details.get("completion"))


@dataclass(frozen=True)
class ScoreFile:
    """The contents of one file; `items` includes the dropped ones."""

    score: Score
    header: Mapping[str, Any]
    items: tuple[ItemResult, ...]


EXPECTED = ("expected", "answer", "target")
"""The keys of the expected answer; older versions wrote the last two."""


def _shown(value: Any) -> str | None:
    if isinstance(value, list):
        return " or ".join(map(str, value))
    return None if value is None else str(value)


def file_name(row: str, name: str) -> str:
    """The path of a score in the run folder: `scores/02-german.word.jsonl` for the row `02-german` of the table."""
    return f"{FOLDER}/{quote(f'{row}.{name}', safe='+,=@')}.jsonl"


def file_key(parts: Mapping[str, str]) -> str:
    """The key of a score: SHA-256 of everything that it depends on."""
    return sha256(json.dumps({**parts, "format": str(FORMAT)}, sort_keys=True).encode()).hexdigest()


def make_score(
    name: str, kind: ScoreKind, items: Sequence[ItemResult], broken: int = 0, by_member: bool = False
) -> Score:
    """Mean and standard error (n - 1) over the items that have a score.

    With `by_member`, of the means of the tasks of a group, whose items are called `TASK/…`: each task counts alike, as
    in lm-eval with `weight_by_size: false`.
    """
    scored = [(item.id, item.score) for item in items if item.score is not None]
    ids, values = tuple(key for key, _ in scored), tuple(value for _, value in scored)
    n = len(values)
    value = math.fsum(values) / n if n else math.nan
    stderr = None
    if n > 1:
        stderr = math.sqrt(math.fsum((x - value) ** 2 for x in values) / (n - 1) / n)
    if by_member and n:
        members = {key.split("/", 1)[0] for key in ids}
        parts = [make_score(name, kind, [one for one in items if one.id.split("/", 1)[0] == key]) for key in members]
        value = math.fsum(part.value for part in parts) / len(parts)
        errors = [part.stderr for part in parts if part.stderr is not None]
        whole = len(errors) == len(parts)
        stderr = math.sqrt(math.fsum(error**2 for error in errors)) / len(parts) if whole else None
    dropped = sum(item.asked for item in items) - n
    truncated = sum("truncated" in item.details for item in items if item.score is not None)
    return Score(name, kind, value, stderr, n, ids, values, dropped, broken, truncated, by_member)


def write_scores(path: Path, score: Score, parts: Mapping[str, str], items: Sequence[ItemResult]) -> None:
    """Write one file of results atomically.

    Raises:
        OSError: such as a full disk; then nothing is written.
    """
    body = "".join(
        json.dumps(without_nan({"id": item.id, "score": item.score, **item.details}), allow_nan=False, default=str)
        + "\n"
        for item in items
    )
    header = {
        "format": FORMAT,
        "name": score.name,
        "kind": score.kind,
        "value": score.value,
        "stderr": score.stderr,
        "n": score.n,
        "dropped": score.dropped,
        "broken": score.broken,
        "items": len(items),
        "key": dict(parts),
        **({"by_member": True} if score.by_member else {}),
        **({"asked": asdict(score.asked)} if score.asked is not None else {}),
        "items_sha256": sha256(body.encode()).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json_text(header) + "\n" + body).encode(), shared=True)


def read_scores(path: Path) -> ScoreFile | None:
    """The results in `path`; `None` if the file is missing, truncated, altered or of another format."""
    try:
        header, rows = _read(path)
        items = tuple(map(_item, rows))
        score = make_score(header["name"], header["kind"], items, header["broken"], header.get("by_member", False))
        if "asked" in header:
            value, stderr = (float(header[key]) for key in ("value", "stderr"))
            score = replace(score, value=value, stderr=stderr, asked=Asked(**header["asked"]))
    except UNREADABLE:
        return None
    return ScoreFile(score, header, items)


def place_of(item: ItemResult) -> int:
    """The place of an item among those of its task, with which its id begins (no item of a group)."""
    return int(item.id.split(":", 1)[0])


def read_item_scores(path: Path) -> dict[str, float | None] | None:
    """The score of each item in `path` by id, in the file's order; `None` as for `read_scores`, and in less time."""
    try:
        return {row["id"]: row["score"] for row in _read(path)[1]}
    except UNREADABLE:
        return None


UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Raised by files that are missing, truncated, altered or of another format."""


def _read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, _, body = path.read_bytes().partition(b"\n")
    header = json.loads(head)
    if header["format"] != FORMAT or header["items_sha256"] != sha256(body).hexdigest():
        raise ValueError("another format, or altered")
    return header, json.loads(b"[%b]" % b",".join(body.splitlines()))


def key_of(path: Path) -> str | None:
    """The key of the score in `path`, from its first line alone; `None` if that cannot be read."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
        return file_key({**header["key"], "name": header["name"], "kind": header["kind"]})
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _item(row: dict[str, Any]) -> ItemResult:
    details = {key: value for key, value in row.items() if key not in ("id", "score")}
    return ItemResult(row["id"], row["score"], details)
