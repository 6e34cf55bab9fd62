"""Every file operation of a run fails: the process is killed at it, in its middle, or the disk is full or broken."""

import os
import shutil
from pathlib import Path

from tests.faults.operations import KINDS, Disk, Kind
from tests.faults.rehearsal import Rehearsal, began_or_resumed, forked, rehearsal, spread
from tests.faults.totals import Totals, count


def run(limit: int | None) -> Totals:
    """All operations of a run of the vision world."""
    with rehearsal() as rehearsed:
        return count(case(rehearsed, *one) for one in spread(cases(rehearsed), limit))


def cases(rehearsed: Rehearsal) -> list[tuple[int, Kind]]:
    """Every operation of a whole run, in each of the kinds."""
    return [(nth, kind) for nth in range(1, operations(rehearsed) + 1) for kind in KINDS]


def operations(rehearsed: Rehearsal) -> int:
    """The number of file operations of a whole run."""
    counter, disk = rehearsed.place / "counter", Disk(rehearsed.place / "counted")
    begin = began_or_resumed(rehearsed.curriculum, rehearsed.place / "counted" / "run", disk)

    def command() -> None:
        begin()
        made = disk.made
        counter.write_text(str(made))

    ended = forked(command, rehearsed.place)
    assert ended.code == 0, ended.words
    return int(counter.read_text())


def case(rehearsed: Rehearsal, nth: int, kind: Kind) -> str | None:
    place: Path = rehearsed.place / "case"
    disk = Disk(place, nth, kind)
    ended = forked(began_or_resumed(rehearsed.curriculum, place / "run", disk), rehearsed.place)
    try:
        if ended.code != -9 and not ended.in_words:
            return f"{kind} at operation {nth}: exit {ended.code}: {ended.words[-300:]}"
        lost = rehearsed.lost(place / "run")
        return None if lost is None else f"{kind} at operation {nth}: {lost}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
        assert not os.path.lexists(place)
