"""Stages on the disk: the policy that a stage ends with, its commit, and what a resumed run restores."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from perdure.agent.life import Life
from perdure.agent.run.events import Committed
from perdure.agent.run.folder import commit_folder, read_json, write_json
from perdure.curriculum.schema import Stage

STAGE_FILE, STAGE_FILE_1 = "stage.json", "settled.json"
"""The file of a stage whose policy is saved; the second is its name in schema 1."""


@dataclass(frozen=True)
class SavedStage:
    """A stage whose policy is saved; `penalty_weight` is the last of the KL term in the loss, where there was one."""

    name: str
    method: str | None
    steps: int
    penalty_weight: float | None = None


BASE = SavedStage("base", None, 0)


def saved_stage(folder: Path) -> SavedStage | None:
    """The stage saved in a folder; `None` while its policy is not saved."""
    found = [folder / name for name in (STAGE_FILE, STAGE_FILE_1) if (folder / name).exists()]
    return SavedStage(**read_json(found[0])) if found else None


def save_stage(life: Life, number: int, saved: SavedStage) -> None:
    """Write the policy that the stage ends with; from here on a kill costs no training."""
    life.logger.phase("saving", stage=number, name=saved.name)
    partial = life.folder.partial_stage(number, saved.name)
    shutil.rmtree(partial / "policy", ignore_errors=True)
    life.world.policy.save(partial / "policy")
    write_json(partial / STAGE_FILE, asdict(saved))


def commit_stage(life: Life, number: int, saved: SavedStage) -> None:
    """Commit the folder of a stage without what its update left behind, and journal that it is done."""
    life.logger.phase("saving", stage=number, name=saved.name)
    partial = life.folder.partial_stage(number, saved.name)
    shutil.rmtree(partial / "checkpoints", ignore_errors=True)
    for leftover in [*partial.glob("*.safetensors*"), *partial.glob("good.json*")]:
        leftover.unlink()
    commit_folder(partial, life.folder.stage(number, saved.name))
    log_commit(life, number, saved)


def resume_stage(life: Life, number: int, stage: Stage) -> None:
    """Restore the policy of a stage that was committed before, and make sure that the journal says so."""
    folder = life.folder.stage(number, stage.name)
    following = life.folder.stage(number + 1, life.curriculum.stages[number].name) if number < len(life.tasks) else None
    row = life.logger.state.row(number)
    committed = row is not None and row.committed
    if not committed or following is None or not following.exists():
        life.world.policy.restore(folder / "policy")
    saved = saved_stage(folder)
    if not committed and saved is not None:
        log_commit(life, number, saved)


def log_commit(life: Life, number: int, saved: SavedStage) -> None:
    """Journal that a stage is done; the policy is the one it ended with."""
    seconds = life.logger.active_seconds(number)
    weights = life.world.policy.fingerprint()
    life.logger.log(Committed(stage=number, seconds=seconds, weights_sha256=weights, **asdict(saved)))
