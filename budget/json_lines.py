"""JSON that others wrote, read as it stands: one value a line, or one document. No type is guessed."""

import json
import re
from collections.abc import Iterator
from typing import Any

from perdure.budget.errors import DataError

BOM = b"\xef\xbb\xbf"
BETWEEN = re.compile(rb"\n(?=\{)|(?<=\})\s*\n(?=[ \t]*\{)")
"""Between two objects; inside one, a comma stands between `}` and `{`."""
MAX_DEPTH = 100
"""Lists and objects inside each other; what goes through a value step by step needs an end."""


class Written(float):
    """A JSON number with a point or an exponent, and how it was written: `1.50`."""

    text: str

    def __new__(cls, text: str, value: float | None = None) -> "Written":
        number = super().__new__(cls, text if value is None else value)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type["Written"], tuple[str, float]]:
        return Written, (self.text, float(self))


def json_lines(data: bytes, source: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of the line (from 1) and the value of every object.

    Raises:
        DataError: see `read_json`; a value that is no object.
    """
    for number, piece in pieces(data):
        yield number, read_object(piece, source, number)


def pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The bytes of every object and the number (from 1) of its first line; an object may go over several lines.

    Only a line feed ends a line: other characters that Unicode counts as line ends stand inside texts.
    """
    line, start = 1, 0
    data = data.removeprefix(BOM)
    for end, following in [*(gap.span() for gap in BETWEEN.finditer(data)), (len(data), len(data))]:
        if piece := data[start:end].rstrip():
            yield line, piece
        line += data.count(b"\n", start, following)
        start = following


def read_object(text: bytes, source: object, line: int = 1) -> dict[str, Any]:
    """One JSON object.

    Raises:
        DataError: see `read_json`; a value that is no object.
    """
    value = read_json(text, source, line)
    if not isinstance(value, dict):
        raise DataError(f'{source}:{line}: every line must be one JSON object, such as {{"prompt": "Hello"}}')
    return value


def read_json(text: bytes, source: object, line: int = 1) -> Any:
    """One JSON value; numbers with a point or an exponent are `Written`.

    Raises:
        DataError: `SOURCE:LINE:COLUMN` and what is wrong: not UTF-8, not JSON (which has no NaN), nested too deeply.
    """
    decoded = decode(text, source, line)
    try:
        value = json.loads(decoded, parse_float=Written, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = f"{source}:{line + error.lineno - 1}:{error.colno}"
        what = "more than one value" if error.msg == "Extra data" else error.msg[:1].lower() + error.msg[1:]
        raise DataError(f"{place}: this is not JSON: {what}") from None
    except RecursionError:
        raise DataError(_too_deep(source, line)) from None
    except ValueError as error:
        raise DataError(f"{source}:{line}: this is not JSON that can be read: {error}") from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise DataError(_too_deep(source, line))
    if "\\ud" in decoded.lower():
        _check_surrogates(value, source, line)
    return value


def decode(text: bytes, source: object, line: int = 1) -> str:
    """Text of a file, without a byte order mark.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return text.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line += before.count(b"\n")
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        raise DataError(
            f"{source}:{line}:{column}: byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def plain(value: Any) -> Any:
    """The value with ordinary floats in place of `Written`."""
    if isinstance(value, Written):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number; write null where there is none")


def _too_deep(source: object, line: int) -> str:
    return f"{source}:{line}: lists and objects are nested more than {MAX_DEPTH} deep; no more are read"


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [part for part in level if isinstance(part, (dict, list))]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def _check_surrogates(value: Any, source: object, line: int) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise DataError(f"{source}:{line}: \\u{half:04x} is half a character; write the whole pair") from None
