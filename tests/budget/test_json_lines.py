"""JSON lines as they stand: what is read, and the place of what is not."""

import json
import pickle

import pytest

from perdure.budget.errors import DataError
from perdure.budget.json_lines import json_lines, plain, read_json


def test_only_a_line_feed_ends_a_line() -> None:
    data = '\ufeff{"a": "x\u2028y\x85z"}\r\n\n  {"a": 10000000000000000000000000000001}\n'.encode()
    assert list(json_lines(data, "f")) == [(1, {"a": "x\u2028y\x85z"}), (3, {"a": 10**31 + 1})]


def test_an_object_may_have_several_lines() -> None:
    objects = [{"a": [1, {"b": "{"}]}, {"a": 2}]
    data = "\n ".join(json.dumps(one, indent=2) for one in objects).encode()
    assert [value for _, value in json_lines(data, "f")] == objects


def test_a_number_keeps_how_it_is_written() -> None:
    value = read_json(b'[1.50, 1e3, 7, {"x": 0.10}]', "f")
    assert value == [1.5, 1000.0, 7, {"x": 0.1}]
    assert [value[0].text, value[1].text, value[3]["x"].text] == ["1.50", "1e3", "0.10"]
    assert pickle.loads(pickle.dumps(value[0])).text == "1.50"
    assert type(plain(value)[0]) is float and plain(value) == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": "\xe9"}', r"f:2:8: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b'{"a": ', r"f:2:6: this is not JSON: expecting value"),
        (b'{"a": NaN}', r"f:2: .*NaN is no JSON number"),
        (b'{"a": -Infinity}', r"f:2: .*-Infinity is no JSON number"),
        (b'{"a": ' + b"9" * 5000 + b"}", r"f:2: this is not JSON that can be read"),
        (b'{"a": "\\ud800"}', r"f:2: \\ud800 is half a character"),
        (b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", r"f:2: .* nested more than 100 deep"),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", r"f:2: .* nested more than 100 deep"),
        (b"[1]", r"f:2:1: this is not JSON: more than one value"),
    ],
)
def test_what_is_refused_has_its_place(line: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(json_lines(b'{"a": 1}\n' + line + b"\n", "f"))


def test_a_line_that_is_no_object_is_refused() -> None:
    with pytest.raises(DataError, match="f:1: every line must be one JSON object"):
        list(json_lines(b"[1]\n", "f"))
    assert read_json(b'{"a": "\\ud83d\\ude00 [[[[[[' + b"[" * 200 + b'"}', "f")["a"].startswith("\U0001f600")
