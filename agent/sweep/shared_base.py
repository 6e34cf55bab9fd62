"""The base's side of a sweep: sampled and scored once, and copied into the runs that would make the same.

`bases/KEY` holds what `World.prepare_base` writes. The key is a hash of all that this depends on: the weights, the
precision and device, the prompts, the lengths, the batch, the seed, the versions. A run whose prompts are no plain data
makes its own.
"""

import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from perdure.agent.differences import versions
from perdure.agent.life import Life
from perdure.agent.run.events import BaseSaved
from perdure.agent.scoring import measure_base
from perdure.agent.seeds import derive
from perdure.agent.worlds.base_prompts import base_prompts, needs_terms
from perdure.budget.errors import RunError
from perdure.budget.files import first_damaged, hashes, make_folder
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell

FILES = "files.json"


def groups_of(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells by the settings on which the base's texts and scores depend, as far as a file tells."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(_settings(cell.curriculum), []).append(cell)
    return list(found.values())


def _settings(curriculum: Curriculum) -> str:
    budget = curriculum.budget
    sections: list[Any] = [
        curriculum.seed,
        curriculum.code_dir,
        curriculum.model.model_dump(mode="json"),
        curriculum.evaluation.model_dump(mode="json"),
        [[stage.name, stage.task.model_dump(mode="json")] for stage in curriculum.stages],
        [one.model_dump(mode="json") for one in curriculum.benchmarks],
        [budget.prompts, budget.probe, budget.num_prompts, budget.max_completion_length, budget.generic],
        [needs_terms(curriculum), budget.enforces("recover")],
    ]
    return json.dumps(sections, sort_keys=True)


def measure_shared_base(life: Life, bases: Path) -> None:
    """Measure the base of a run that begins: by the texts of another with the same, else its own, which are shared."""
    key = _key(life)
    shared, kept = bases / str(key), life.logger.state.base_files
    if key is not None and kept is None and not life.folder.base.exists() and _is_whole(shared):
        make_folder(life.folder.base)
        for name in json.loads((shared / FILES).read_text()):
            shutil.copyfile(shared / name, life.folder.base / name)
        life.logger.log(BaseSaved(files=hashes(life.folder.base)))
    measure_base(life)
    if key is not None and not shared.exists():
        _share(life.folder.base, shared)


def _key(life: Life) -> str | None:
    curriculum, world = life.curriculum, life.world
    prompts = base_prompts(curriculum, life.tasks, life.scorecard.examined, life.world)
    parts = {
        "base": [world.kind, world.base_id, world.policy.fingerprint(), dict(world.resolved), versions()],
        "model": curriculum.model.model_dump(mode="json"),
        "batch_size": curriculum.evaluation.batch_size,
        "generate_with": curriculum.evaluation.generate_with,
        "max_completion_length": curriculum.budget.max_completion_length,
        "seed": derive(curriculum.seed, "base"),
        "prompts": list(prompts.items()),
    }
    try:
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    except TypeError:  # observations, and environments
        return None


def _is_whole(shared: Path) -> bool:
    """True if all files are there as they were shared."""
    try:
        return first_damaged(shared, json.loads((shared / FILES).read_text())) is None
    except (OSError, ValueError, RunError):
        return False


def _share(base: Path, shared: Path) -> None:
    """Copy a base's files in one step; another process may have been first."""
    make_folder(shared.parent)
    partial = shared.with_name(f".{shared.name}.{base.parent.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(base, partial)
    (partial / FILES).write_text(json.dumps(hashes(base)))
    try:
        partial.rename(shared)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
