"""`python -m tests.bench.gpu [PART …]`: measure what only a GPU can tell, in at most ten minutes, and print it.

Each part is a process of its own with what is left of the time; one that fails or is too slow is named, and the others
go on. `--device cpu --small` runs the same code on shapes without meaning, to try the script itself.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.gpu.parts import PARTS
from tests.bench.gpu.setting import Line
from tests.bench.machine import machine
from tests.bench.processes import OFFLINE, ROOT

MINUTES = 10.0
NONE = (
    "no GPU here: torch {version} sees none, and nothing was measured. With one, `make bench-gpu` takes at most ten "
    "minutes; `python -m tests.bench.gpu --device cpu --small` tries the script itself, and its times mean nothing"
)


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 1 without the device asked for, or if a part failed."""
    import torch

    arguments = _arguments(words)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(NONE.format(version=torch.__version__))
        return 1
    title = f"{_card(arguments.device)}; {machine()}"
    print(title, flush=True)
    found, failed = {}, False
    end = time.monotonic() + 60 * arguments.minutes
    with TemporaryDirectory() as scratch:
        for name in arguments.parts or PARTS:
            lines, is_bad = _measured(name, arguments, Path(scratch), end - time.monotonic())
            found[name], failed = lines, failed or is_bad
            print(f"\n{name}")
            for figure, value in lines:
                print(f"  {figure:<60} {value}", flush=True)
    if arguments.to is not None:
        arguments.to.parent.mkdir(parents=True, exist_ok=True)
        arguments.to.write_text(page(title, found))
    return int(failed)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}; default: all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="shapes of no meaning, to try the script")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"the most it takes; default: {MINUTES:g}")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write the figures there too, as Markdown")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    return arguments


def _card(device: str) -> str:
    import torch

    if device == "cpu":
        return "CPU"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def _measured(name: str, arguments: argparse.Namespace, scratch: Path, left: float) -> tuple[list[Line], bool]:
    """The lines of a part, and True if it failed."""
    if left < 5:
        return [(name, f"not run: the {arguments.minutes:g} minutes are over")], False
    folder = scratch / name
    folder.mkdir()
    job = json.dumps({"device": arguments.device, "small": arguments.small, "folder": str(folder)})
    command = [sys.executable, "-m", "tests.bench.gpu.parts", name, job]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True, check=False, timeout=left
        )
    except subprocess.TimeoutExpired:
        return [(name, f"ended after {left:.0f} s: the {arguments.minutes:g} minutes are over")], True
    if done.returncode:
        return [(name, f"FAILED: {' / '.join(done.stderr.strip().splitlines()[-3:])}")], True
    lines = [(str(figure), str(value)) for figure, value in json.loads(done.stdout.strip().splitlines()[-1])]
    return [*lines, ("all of it, imports included", f"{time.monotonic() - begun:.0f} s")], False


def page(title: str, found: dict[str, list[Line]]) -> str:
    """The figures as Markdown."""
    rows = [f"| {part} | {figure} | {value} |" for part, lines in found.items() for figure, value in lines]
    return "\n".join([f"Measured on: {title}.", "", "| part | figure | value |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
