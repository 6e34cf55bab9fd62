"""A `resume --redo-from` that fails at a file operation: the run is as it was, or begins again at that stage."""

import shutil

import perdure.cli.commands.resume
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.record import read_record
from tests.faults.operations import KINDS, Disk, Kind, install
from tests.faults.rehearsal import Rehearsal, forked, rehearsal, spread
from tests.faults.totals import Totals, count

OPERATIONS = 24
"""More than there are until the stages are removed."""


def run(limit: int | None) -> Totals:
    """Each operation in each of the kinds, from both stages of a finished run of the vision world."""
    cases = [(first, nth, kind) for first in (1, 2) for nth in range(1, OPERATIONS + 1) for kind in KINDS]
    with rehearsal() as rehearsed:
        return count(case(rehearsed, *one) for one in spread(cases, limit))


def case(rehearsed: Rehearsal, first: int, nth: int, kind: Kind) -> str | None:
    """`None` if what is left is what the journal says, and comes to what the undisturbed run came to."""
    place = rehearsed.place / "case"
    shutil.copytree(rehearsed.whole, place / "run")

    def command() -> None:
        install(Disk(place, nth, kind))
        perdure.cli.commands.resume.resume_command(place / "run", True, first)

    ended = forked(command, rehearsed.place)
    try:
        if ended.code != -9 and not ended.in_words:
            return f"from {first}, {kind} at operation {nth}: exit {ended.code}: {ended.words[-300:]}"
        lost = _gone(rehearsed) or rehearsed.lost(place / "run")
        return None if lost is None else f"from {first}, {kind} at operation {nth}: {lost}"
    finally:
        shutil.rmtree(place)


def _gone(rehearsed: Rehearsal) -> str | None:
    """A stage that the journal still counts and that is not there."""
    folder = RunFolder(rehearsed.place / "case" / "run")
    rows = [row for row in read_record(folder)[0].rows if row.stage and row.committed]
    return next((f"stage {row.stage} is gone" for row in rows if not folder.stage(row.stage, row.name).is_dir()), None)
