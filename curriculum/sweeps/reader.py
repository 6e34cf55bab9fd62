"""Reads a sweep: checks the file, its curriculum and every cell, and reports all faults at once."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.explain import faults_of
from perdure.curriculum.file.faults import CurriculumError, Fault, Place
from perdure.curriculum.file.overrides import path_in
from perdure.curriculum.file.reader import (
    MAX_FILE_BYTES,
    apply_overrides,
    check_document,
    find_file,
    open_document,
)
from perdure.curriculum.file.shipped import shipped, shipped_sweeps
from perdure.curriculum.messages import did_you_mean, show_value
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.points import SweepPoint, count_cells, sweep_points
from perdure.curriculum.sweeps.schema import Sweep
from perdure.curriculum.worlds.contract import LookedUp

MAX_CELLS = 20_000
_OWN_KEY = re.compile(rb"^(axes|curriculum)[ \t]*:", re.MULTILINE)
"""A key that a sweep has at its top and a curriculum has not."""


def nothing_to_look_up(curriculum: Curriculum) -> LookedUp:
    """No faults."""
    return LookedUp()


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: its number as text, the values of its axes by name, and its whole curriculum."""

    id: str
    seed: int
    values: Mapping[str, Any]
    curriculum: Curriculum

    @property
    def arm(self) -> str | None:
        """The value of the axis `arm`, which names the method; `None` without such an axis."""
        arm = self.values.get("arm")
        return None if arm is None else str(arm)


@dataclass(frozen=True)
class ReadSweep:
    """A sweep with all its cells checked, and the file it came from."""

    sweep: Sweep
    cells: tuple[Cell, ...]
    source: Path

    @property
    def name(self) -> str:
        return self.source.stem


def is_sweep(file_or_name: str) -> bool:
    """True for the name of a shipped sweep, and for a file that names the curriculum that it varies."""
    path = Path(file_or_name)
    try:
        if not path.is_file():
            return file_or_name in shipped_sweeps() and file_or_name not in shipped()
        return path.stat().st_size <= MAX_FILE_BYTES and bool(_OWN_KEY.search(path.read_bytes()))
    except OSError:  # reading it says what is wrong
        return False


def read_sweep(
    file_or_name: str | Path,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] = (),
    look_up: Callable[[Curriculum], LookedUp] = nothing_to_look_up,
) -> ReadSweep:
    """Read a sweep and check the curriculum of every cell; nothing heavy is imported and nothing written.

    Args:
        file_or_name: path of a YAML file, or the name of a shipped sweep; an existing file wins.
        overrides: `path=value` each, set in the curriculum of all cells before the axes are.
        seeds: in place of the file's, if there are any.
        look_up: looks up what the curriculum of each cell names; packages are left to the workers where these may be on
            other machines.

    Raises:
        CurriculumError: one line a fault: those of the sweep's own keys, or else those of its curriculum and cells.
    """
    source = find_file(file_or_name, shipped_sweeps(), "sweep")
    document, _ = open_document(source, "sweep")
    if seeds:
        document.put(("seeds",), list(seeds), Place("--seed"))
    sweep = _validated(document)
    base, _ = open_document(_curriculum_file(document, sweep, source))
    apply_overrides(base, overrides)
    assigned = [(path_in(base, each.partition("=")[0], Place("--set")), "`--set`") for each in overrides]
    curricula = _Checker(document, base, assigned, look_up, sweep.may_run_elsewhere).check_all(sweep_points(sweep))
    settings = list(dict.fromkeys(curriculum.kl_settings for _, curriculum in curricula))
    if len(settings) > 1:
        message = (
            f"cells measure KL at different settings ({'; '.join(settings[:3])}), and such figures are not compared"
        )
        raise _refusal(document.place(("axes",), at_key=True), f"{message}; give each setting a sweep of its own")
    return ReadSweep(sweep, tuple(_cells(sweep, curricula)), source)


def _validated(document: Document) -> Sweep:
    try:
        sweep = Sweep.model_validate(document.data, strict=True)
    except ValidationError as error:
        raise CurriculumError(faults_of(error, document, Sweep)) from None
    cells = count_cells(sweep)
    if cells > MAX_CELLS:
        raise _refusal(document.place(("axes",)), f"the sweep has {cells} cells; at most {MAX_CELLS} are possible")
    return sweep


def _curriculum_file(document: Document, sweep: Sweep, source: Path) -> Path:
    """A file beside the sweep wins over a shipped name."""
    beside = source.parent / Path(sweep.curriculum).expanduser()
    if beside.exists():
        return find_file(beside)
    known = shipped()
    if sweep.curriculum in known:
        return known[sweep.curriculum]
    hint = did_you_mean(Path(sweep.curriculum).stem, known) or f"; shipped curricula: {', '.join(known) or 'none'}"
    message = f"no such file ({beside}), and no shipped curriculum has this name{hint}"
    raise CurriculumError([Fault(document.place(("curriculum",)), ("curriculum",), message)])


def _cells(sweep: Sweep, curricula: Iterable[tuple[SweepPoint, Curriculum]]) -> Iterable[Cell]:
    """One cell a point and seed, numbered from 1 in the order of the file, seeds fastest."""
    digits = max(4, len(str(count_cells(sweep))))
    number = 0
    for point, curriculum in curricula:
        for seed in sweep.seeds or [curriculum.seed]:
            number += 1
            seeded = curriculum.model_copy(update={"seed": seed})
            yield Cell(f"{number:0{digits}d}", seed, point.values, seeded)


@dataclass
class _Checker:
    """Sets the fields of each point in a copy of the curriculum, checks it, and collects the faults.

    `assigned` are paths that are set already, each with what sets it; `elsewhere`: the cells may run on other machines.
    """

    document: Document
    base: Document
    assigned: list[tuple[tuple[str | int, ...], str]]
    look_up: Callable[[Curriculum], LookedUp]
    elsewhere: bool
    _faults: dict[Fault, list[SweepPoint]] = field(default_factory=dict)

    def check_all(self, every: Sequence[SweepPoint]) -> list[tuple[SweepPoint, Curriculum]]:
        """The curriculum of each point, its seed aside.

        Raises:
            CurriculumError: the faults of all of them, each once.
        """
        found = []
        for point in every:
            try:
                found.append((point, self._check(point)))
            except CurriculumError as error:
                for fault in error.faults:
                    self._faults.setdefault(fault, []).append(point)
        if self._faults:
            raise CurriculumError(self._placed(fault, at, every) for fault, at in self._faults.items())
        return found

    def _check(self, point: SweepPoint) -> Curriculum:
        here = Document(deepcopy(self.base.data), dict(self.base.keys), dict(self.base.values))
        faults: list[Fault] = []
        assigned = list(self.assigned)
        for setting in point.settings:
            try:
                place = self.document.place(setting.written_at, at_key=setting.by_key)
                path = path_in(here, setting.path, place)
                self._refuse_twice(path, setting.axis, assigned, place)
                here.put(path, deepcopy(setting.value), self.document.place(setting.value_at))
                assigned.append((path, f"the axis {setting.axis!r}"))
            except CurriculumError as error:
                faults += error.faults
        try:
            curriculum = check_document(here)
            found = () if faults else self.look_up(curriculum).faults
            told = [one for one in found if not (one.package and self.elsewhere)]
            faults += [Fault(here.place(one.path), one.path, one.message) for one in told]
        except CurriculumError as error:
            faults += error.faults
        if faults:
            raise CurriculumError(faults)
        return curriculum

    def _refuse_twice(
        self,
        path: tuple[str | int, ...],
        axis: str,
        assigned: Sequence[tuple[tuple[str | int, ...], str]],
        place: Place,
    ) -> None:
        if path == ("seed",):
            raise CurriculumError([Fault(place, path, "seeds are no axis; list them under `seeds`")])
        for other, who in assigned:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                message = f"the axis {axis!r} sets this, and so does {who}; let only one of them"
                raise CurriculumError([Fault(place, path, message)])

    def _placed(self, fault: Fault, at: Sequence[SweepPoint], every: Sequence[SweepPoint]) -> Fault:
        """A fault outside the sweep file that only some points have names these."""
        if len(at) == len(every) or fault.place.source == self.document.place(()).source:
            return fault
        shared = [
            f"{axis} is {show_value(value)}"
            for axis, value in at[0].values.items()
            if all(point.values[axis] == value for point in at) and any(point.values[axis] != value for point in every)
        ]
        return replace(fault, message=f"{fault.message} (where {' and '.join(shared)})") if shared else fault


def _refusal(place: Place, message: str) -> CurriculumError:
    return CurriculumError([Fault(place, (), message)])
