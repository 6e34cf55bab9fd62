"""Mutated curricula against `perdure validate`: it ends with 0, or with 1 and a place, and executes nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from perdure.cli.commands.validate import validate_command
from perdure.cli.errors import guarded
from perdure.curriculum.file.sample import sample_curriculum
from perdure.curriculum.file.shipped import shipped
from tests.faults.totals import Totals, count

CASES = 500
SECONDS = 20
"""A file is read in at most that."""

MOST_BYTES = 12_000
"""A refusal is no longer than that."""

BATCH = 25
RAW = "@@RAW@@"
TOUCH = "touch executed"

CODE = ("os:system", "builtins:exec", "subprocess:run", "hostile:run", "hostile:system", "hostile:Popen", "pty:spawn")
VALUES = (
    *(".inf", "-.inf", ".nan", "1e999", "-1", "0", "1e-320", "9" * 30, "-" + "9" * 400, "0x" + "f" * 4000, "1" * 5000),
    *(
        "null",
        "~",
        "true",
        "[]",
        "{}",
        "''",
        "' '",
        "[[[[[[]]]]]]",
        "[" * 300 + "]" * 300,
        "[" * 9000,
        "{a: {a: {a: 1}}}",
    ),
    *("x" * 5000, '"\\e[31mred\\a"', '"\\u2028"', '"\\0"', '"\\ud800"', "😀", "2020-01-01", "1_000", "0o17", "1:30"),
    *(f"!!python/object/apply:os.system ['{TOUCH}']", "!!binary AAAA", "!mine x", "!!set {a}", "&a [*a]", "*nowhere"),
    *(
        "/dev/zero",
        "/dev/stdin",
        "/etc/shadow",
        "/**/nothing",
        "/*/*/*/*/*/*/x",
        "../" * 50 + "etc/passwd",
        "~nobody/x",
    ),
    *("file:///etc/passwd", "http://[::1", "a" * 300 + "/b", "{x!r:>99999999}", "{0.__class__}", "(a+)+$", "(" * 3000),
    *("x{999999999999}", "[[a", "meta", "cuda:99", "cuda:-1", "sft+sft", "sft+" * 900 + "l2", "+", "rl + kl", *CODE),
    *(f"{{type: python, path: '{path}', args: {{command: {TOUCH}, cmd: {TOUCH}}}}}" for path in CODE),
    *(f"{{path: '{path}'}}" for path in CODE),
    "[" + "1, " * 60_000 + "1]",
)
KEYS = ("", "type", "__class__", "a.b", "x" * 5000, "\x1b[2J", "learning_rate", "trl", "<<", "path", "code_dir", "0")
HOSTILE = f"import os\nos.system('{TOUCH}')\nfrom os import system\nfrom subprocess import Popen\n" + (
    "def run(**given):\n    system(given['command'])\n"
)
BOMB = "\n".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9) if n else 'x'}]" for n in range(12))


def run(limit: int | None = None) -> Totals:
    """Every case is a file of its own; the same ones each time."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hostile.py").write_text(HOSTILE)
        files = []
        for number, data in zip(range(CASES if limit is None else limit), mutants(Random(11)), strict=False):
            files.append(folder / f"case-{number}.yaml")
            files[-1].write_bytes(data)
        outcomes: list[str | None] = []
        while files:
            done = _tried(files[:BATCH], folder)
            outcomes += done
            files = files[len(done) :]
        return count(outcomes)


def mutants(random: Random) -> Iterator[bytes]:
    """Mutated files, without end: each of `VALUES` once, then by turns a value or a key, and characters."""
    texts = [sample_curriculum(), *(file.read_text() for file in shipped().values())]
    parsed = [YAML(typ="safe", pure=True).load(text) for text in texts]
    yield BOMB.encode()
    for raw in VALUES:
        data = deepcopy(random.choice(parsed))
        around, key = random.choice(list(_places(data)))
        around[key] = RAW
        yield _written(data, raw)
    while True:
        raw = random.choice(VALUES)
        yield _in_data(deepcopy(random.choice(parsed)), raw, random)
        yield _in_text(random.choice(texts).encode(), random)


def _in_data(data: Any, raw: str, random: Random) -> bytes:
    around, key = random.choice(list(_places(data)))
    if isinstance(around, dict) and random.random() < 0.2:
        new = random.choice(KEYS)
        around |= {new: RAW} if random.random() < 0.7 else {f"{new}{n}": n for n in range(300)}
    elif random.random() < 0.1:
        del around[key]
    else:
        around[key] = RAW
    return _written(data, raw)


def _written(data: Any, raw: str) -> bytes:
    return json.dumps(data).replace(f'"{RAW}"', raw).encode("utf-8", "surrogatepass")


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])


def _in_text(text: bytes, random: Random) -> bytes:
    at, lines = random.randrange(len(text)), text.splitlines(keepends=True)
    line = random.randrange(len(lines))
    noise = random.choice(
        (b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b":", b"- ", b"'", b"[", b"}", b"&a ", b"*a ", b"%")
    )
    return random.choice(
        (
            text[:at],
            text[:at] + noise + text[at:],
            text[:at] + random.randbytes(8) + text[at:],
            b"".join(lines[:line] + lines[line + 1 :]),
            b"".join(lines[:line] + [lines[line]] * 3 + lines[line + 1 :]),
            b"".join([*lines[:line], b"  " + lines[line], *lines[line + 1 :]]),
            text + b"\n---\n" + text,
            text.replace(b":", b": ", 3)[::-1],
        )
    )


def _tried(files: list[Path], folder: Path) -> list[str | None]:
    """The outcomes of some files in one process; it is ended by the first that hangs."""
    command = [sys.executable, "-m", "tests.faults.curricula", *(file.name for file in files)]
    with (folder / "said").open("w+") as said:
        try:
            path = {"PYTHONPATH": ":".join(entry for entry in sys.path if entry) + f":{Path.cwd()}"}
            subprocess.run(command, cwd=folder, stdout=said, timeout=SECONDS * 3, check=False, env=path)
        except subprocess.TimeoutExpired:
            pass
        said.seek(0)
        found = [json.loads(line) for line in said]
    outcomes = [_judged(file, *one) for file, one in zip(files, found, strict=False)]
    if len(found) < len(files):
        outcomes.append(_lost(files[len(found)], "no end, or no process any more"))
    if (folder / "executed").exists():
        outcomes[-1] = _lost(files[0], "something was executed in this batch")
        (folder / "executed").unlink()
    return outcomes


def _judged(file: Path, code: int, said: str, error: str) -> str | None:
    if "Traceback" in error or code not in (0, 1):
        return _lost(file, f"exit {code}: {error[-300:]}")
    if code == 1 and not all(line.startswith((file.name, "and ")) for line in error.splitlines()):
        return _lost(file, f"no place: {error[:300]}")
    return _lost(file, f"{len(error)} characters") if len(error.encode()) > MOST_BYTES else None


def _lost(file: Path, why: str) -> str:
    return f"{file.name}: {why}"


def _child(names: list[str]) -> None:
    for name in names:
        said, error = StringIO(), StringIO()
        with redirect_stdout(said), redirect_stderr(error):
            code = guarded(lambda name=name: validate_command(name, [], False, False))  # type: ignore[misc]
        print(json.dumps([code, said.getvalue()[:100], error.getvalue()]), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1:])
