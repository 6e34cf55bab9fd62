"""A resumed run takes up only what is what was written; it is refused otherwise, or makes it again."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.check import check_kinds
from perdure.agent.run.event import Event
from perdure.agent.run.events import BaseSaved, Committed, Redone, Scored
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.journal import Journal, read_journal
from perdure.agent.setup import resume, start
from perdure.budget.errors import RunError
from perdure.budget.files import hashes
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_run import Killed, Onlooker, in_memory, outcome, record_of
from tests.faults.rehearsal import VISION


class KilledWhenScored(Onlooker):
    """Kills the run when stage 2 is saved, and its first task scored."""

    def event(self, event: Event) -> None:
        if isinstance(event, Scored) and event.stage == 2:
            raise Killed


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A whole run, and one that was killed before its second stage was committed."""
    with in_memory() as folder:
        config = Curriculum.model_validate(VISION)
        run_curriculum(start(config, folder / "whole" / "run", Onlooker()))
        with pytest.raises(Killed):
            run_curriculum(start(config, folder / "killed" / "run", KilledWhenScored()))
        yield folder


@pytest.fixture
def run(place: Path) -> Iterator[Path]:
    """A copy of the killed run."""
    shutil.copytree(place / "killed" / "run", place / "copy" / "run")
    yield place / "copy" / "run"
    shutil.rmtree(place / "copy")


def finished(run: Path, redo_from: int | None = None) -> object:
    run_curriculum(resume(run, Onlooker(), redo_from=redo_from))
    return outcome(record_of(run))


def flip(path: Path) -> None:
    """Change the last bit of a file."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


STAGE_1, STAGE_2 = "stages/01-parity", "stages/02-prime.partial"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: flip(run / STAGE_1 / "policy/model.safetensors"), r"its SHA-256 differs"),
        (lambda run: (run / STAGE_1 / "policy/model.safetensors").unlink(), r"model\.safetensors is missing"),
        (lambda run: (run / STAGE_1 / "stage.json").write_text("[]"), r"stage\.json is damaged"),
        (lambda run: shutil.rmtree(run / STAGE_1), r"01-parity is missing"),
        (lambda run: _rewritten(run / STAGE_1 / "stage.json", "steps", 3), r"steps 3, and the journal 4"),
    ],
)
def test_a_damaged_stage_is_named_and_run_again(
    place: Path, run: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(run)
    with pytest.raises(RunError, match=rf"(?s){said}.*perdure resume {re.escape(str(run))} --redo-from 1"):
        resume(run, Onlooker())
    assert finished(run, redo_from=1) == outcome(record_of(place / "whole" / "run"))


def _rewritten(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


def test_weights_that_are_not_the_journals_are_refused_though_their_hash_is_right(run: Path) -> None:
    policy = run / STAGE_1 / "policy"
    shutil.copytree(run / STAGE_2 / "policy", policy, dirs_exist_ok=True)
    shutil.rmtree(run / STAGE_2)
    files = {f"policy/{name}": digest for name, digest in hashes(policy).items()}
    _rewritten(run / STAGE_1 / "stage.json", "files", files)
    with pytest.raises(RunError, match="holds other weights than the stage ended with"):
        finished(run)


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: flip(run / STAGE_2 / "policy/model.safetensors"),
        lambda run: flip(run / STAGE_2 / "line-beyond.safetensors"),
        lambda run: (run / STAGE_2 / "policy/model.safetensors").unlink(),
        lambda run: (run / STAGE_2 / "stage.json").write_text("{"),
        lambda run: flip(run / "base/log_probabilities.safetensors"),
        lambda run: shutil.rmtree(run / "base"),
    ],
)
def test_what_can_be_made_again_is(place: Path, run: Path, damage: Callable[[Path], None]) -> None:
    damage(run)
    assert finished(run) == outcome(record_of(place / "whole" / "run"))
    base = next(event for event in read_journal(run / "journal.jsonl") if isinstance(event, BaseSaved))
    assert hashes(run / "base") == base.files


def test_a_base_that_cannot_be_made_as_it_was_is_refused(run: Path) -> None:
    life = resume(run, Onlooker())
    life.logger.log(BaseSaved(files={"log_probabilities.safetensors": "0" * 64}))
    with pytest.raises(RunError, match=r"log_probabilities\.safetensors is not what was written .* start a new run"):
        run_curriculum(life)


@pytest.mark.parametrize(
    ("kept", "said"),
    [(None, "01-parity"), (0, "01-parity"), (1, "01-parity"), (-8, "02-prime")],
)
def test_a_journal_that_is_gone_or_short_is_refused(run: Path, kept: int | None, said: str) -> None:
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.unlink() if kept is None else journal.write_bytes(b"".join(lines[:kept]))
    before = hashes(run)
    with pytest.raises(
        RunError, match=rf"journal\.jsonl is missing or short: it does not know of .*{said}.*, which is there"
    ):
        resume(run, Onlooker())
    assert hashes(run) | {"lock": ""} == before | {"lock": ""}, "nothing is rebuilt"


@pytest.mark.parametrize("line", [1, 5, -2])
def test_a_line_of_the_journal_that_is_missing_or_changed_is_noticed(run: Path, line: int) -> None:
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    changed = lines[line].replace(b"0", b"1", 1)
    for damaged in ([*lines[:line], *lines[line:][1:]], [*lines[:line], changed, *lines[line:][1:]]):
        journal.write_bytes(b"".join(damaged))
        with pytest.raises(RunError, match="damaged"):
            resume(run, Onlooker())


def test_what_a_kill_left_is_gone_at_the_end(run: Path) -> None:
    leftovers = [
        *(run / name for name in ("progress.json.partial", "base/.tmpAbC123", "scores/x.jsonl.77.partial")),
        *(run / STAGE_2 / name for name in (".tmpAbC123", "good.json.partial", "policy/.tmpAbC123", "checkpoints/x")),
    ]
    for leftover in leftovers:
        leftover.parent.mkdir(exist_ok=True)
        leftover.write_bytes(b"half of it")
    finished(run)
    assert not [leftover for leftover in leftovers if leftover.exists()]
    names = {path.name for path in (run / "stages/02-prime").rglob("*")}
    assert names == {"stage.json", "policy", "config.json", "model.safetensors", "steps.parquet"}


@pytest.mark.parametrize("name", ["journal.jsonl", "lock", "base", "scores"])
def test_what_is_of_the_wrong_kind_is_named(run: Path, name: str) -> None:
    path = run / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    with pytest.raises(RunError, match=rf"{name} is no (file|folder), where a run has one"):
        check_kinds(RunFolder(run))


def test_a_finished_run_that_cannot_go_back_is_finished_still(place: Path, run: Path) -> None:
    whole = finished(run)
    model = run / STAGE_1 / "policy/model.safetensors"
    kept = model.read_bytes()
    flip(model)
    with pytest.raises(RunError, match="SHA-256 differs"):
        resume(run, Onlooker(), redo_from=2)
    model.write_bytes(kept)
    begun = (run / "journal.jsonl").read_text()
    other = re.sub('"base_sha256": ".', '"base_sha256": "x', re.sub(r', "crc32": \d+', "", begun))
    (run / "journal.jsonl").write_text(other)
    with pytest.raises(RunError, match="base_sha256"):
        resume(run, Onlooker(), redo_from=2)
    (run / "journal.jsonl").write_text(begun)
    assert outcome(record_of(run)) == whole and record_of(run).status == "finished"
    assert finished(run, redo_from=2) == whole == outcome(record_of(place / "whole" / "run"))


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("removed", ["", "02-prime", "02-prime/policy"])
def test_a_kill_before_the_stages_are_removed_does_not_bring_them_back(
    place: Path, run: Path, first: int, removed: str
) -> None:
    whole = finished(run)
    Journal(RunFolder(run).journal).append(Redone(stage=first))
    Journal(RunFolder(run).journal).append(Redone(stage=2))
    if removed:
        shutil.rmtree(run / "stages" / removed)
    assert [row.stage for row in record_of(run).rows] == list(range(first))
    watched = Onlooker()
    run_curriculum(resume(run, watched))
    assert {event.stage for event in watched.events if isinstance(event, Committed)} == {*range(first, 3)}
    assert outcome(record_of(run)) == whole == outcome(record_of(place / "whole" / "run"))


@pytest.mark.parametrize("number", [0, 3])
def test_a_run_goes_back_only_to_a_stage_that_it_has(run: Path, number: int) -> None:
    with pytest.raises(RunError, match=f"--redo-from {number}: .* has the stages 1 to 2"):
        resume(run, Onlooker(), redo_from=number)


def test_settings_that_came_after_a_run_began_are_no_difference(run: Path) -> None:
    description = json.loads((run / "run.json").read_text())
    assert description["curriculum"]["evaluation"].pop("batch_size") == 64
    first, *rest = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    begun = {key: value for key, value in json.loads(first).items() if key != "crc32"}
    older = [json.dumps(begun | {"curriculum": description["curriculum"]}) + "\n"]
    older += [json.dumps({k: v for k, v in json.loads(line).items() if k != "crc32"}) + "\n" for line in rest]
    (run / "run.json").write_text(json.dumps(description))
    (run / "journal.jsonl").write_text("".join(older))
    resume(run, Onlooker())
