"""Run folders that were damaged: `show` and `law` say what is there, and `resume` refuses or ends as it should."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import perdure.cli.commands.law
import perdure.cli.commands.resume
import perdure.cli.commands.show
from tests.faults.operations import Disk
from tests.faults.rehearsal import Rehearsal, began_or_resumed, forked, outcome, rehearsal, spread
from tests.faults.totals import Totals, count

DAMAGED = 300
Damage = Callable[[Path, random.Random], None]


def _flipped(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes()) or bytearray(1)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def _without_a_line(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True) or [b""]
    del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def _with_a_number_changed(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    digits = [found.start() for found in re.finditer(rb"\d", data)]
    if digits:
        place = chance.choice(digits)
        path.write_bytes(data[:place] + str(chance.randrange(10)).encode() + data[place + 1 :])


def _replaced_by_a_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def _replaced_by_a_loop(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(path)


CONTENTS = (b"", b"{}", b"[]", b"null", b"\xff\xfe\x00", b"\x00" * 64, b"[" * 50_000, b'{"a": NaN}', b"text\n")
DAMAGES: tuple[Damage, ...] = (
    lambda path, chance: path.unlink(),
    lambda path, chance: path.rename(path.with_name("elsewhere")),
    lambda path, chance: path.write_bytes(chance.choice(CONTENTS)) and None,
    _flipped,
    _flipped,
    _cut,
    _without_a_line,
    _with_a_number_changed,
    _replaced_by_a_folder,
    _replaced_by_a_loop,
)


def run(limit: int | None) -> Totals:
    """Random damage to every file of two runs of the vision world: finished, and killed in its second stage."""
    with rehearsal() as rehearsed:
        stopped = _stopped(rehearsed)
        return count(_case(rehearsed, stopped, seed) for seed in spread(list(range(DAMAGED)), limit))


def _stopped(rehearsed: Rehearsal) -> Path:
    """A run that was killed when its second stage was saved and not committed."""
    place = rehearsed.place / "stopped"
    for nth in range(1, 1000):
        shutil.rmtree(place, ignore_errors=True)
        forked(began_or_resumed(rehearsed.curriculum, place / "run", Disk(place, 240 + nth)), rehearsed.place)
        if list(place.glob("run/stages/02-*.partial/stage.json")):
            return place / "run"
    raise AssertionError("a run has such a moment")


def _case(rehearsed: Rehearsal, stopped: Path, seed: int) -> str | None:
    chance, run = random.Random(seed), rehearsed.place / "damaged"
    shutil.copytree(stopped if seed % 3 else rehearsed.whole, run)
    place = chance.choice(sorted(path for path in run.rglob("*") if path.is_file() or path.name in ("base", "stages")))
    if place.is_dir():
        shutil.rmtree(place)
        what = "removed"
    else:
        damage = chance.choice(DAMAGES)
        damage(place, chance)
        what = getattr(damage, "__name__", "damage")
    try:
        lost = _lost(rehearsed, run)
        return None if lost is None else f"seed {seed}, {place.relative_to(run)} {what}: {lost}"
    finally:
        shutil.rmtree(run)


def _lost(rehearsed: Rehearsal, run: Path) -> str | None:
    reading = {
        "show": lambda: perdure.cli.commands.show.show_command(run, False),
        "show --json": lambda: perdure.cli.commands.show.show_command(run, True),
        "law": lambda: perdure.cli.commands.law.law_command([run], [0.95], [], False, None, None),
    }
    for name, command in reading.items():
        ended = forked(command, rehearsed.place)
        if not ended.in_words:
            return f"{name}: exit {ended.code}: {ended.words[-300:]}"
    ended = forked(lambda: perdure.cli.commands.resume.resume_command(run, True), rehearsed.place)
    again = re.search(r"--redo-from (\d+)", ended.words)
    if ended.code == 1 and again:
        ended = forked(lambda: perdure.cli.commands.resume.resume_command(run, True, int(again[1])), rehearsed.place)
    if not ended.in_words:
        return f"resume: exit {ended.code}: {ended.words[-300:]}"
    return "resumed to another outcome" if ended.code == 0 and outcome(run) != rehearsed.outcome else None
