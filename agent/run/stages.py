"""Stages on the disk: the policy that a stage ends with, its commit, and what a resumed run takes up, once verified."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from perdure.agent.life import Life
from perdure.agent.run.events import Committed
from perdure.agent.run.folder import POLICY, RunFolder, commit_folder, read_json, row_name, write_json
from perdure.agent.run.kept import drop_policies, refuse_dropped
from perdure.agent.run.state import RunState
from perdure.agent.run.steps import TABLE
from perdure.agent.weights import holds
from perdure.agent.worlds.contract import World
from perdure.budget import ranks
from perdure.budget.errors import RunError
from perdure.budget.files import (
    clear_leftovers,
    first_damaged,
    hashes,
    keep_once,
    keep_only,
    make_folder,
    naming,
    readable,
    sync_all,
)
from perdure.curriculum.schema import Curriculum, Stage

STAGE_FILE, STAGE_FILE_1 = "stage.json", "settled.json"
"""The file of a stage whose policy is saved; the second is its name in schema 1."""

WEIGHTS = "*.safetensors"
GOOD_STATE = ("good.safetensors", "good.json")
"""The files of the last good state (`agent/enforcement/good_state.py`), which nobody asks for once a stage is saved."""


@dataclass(frozen=True)
class SavedStage:
    """A stage whose policy is saved.

    `penalty_weight` is the last of the KL term in the loss, where there was one. `files` are the SHA-256 of every file
    that is taken up again, and `weights_sha256` is the policy's fingerprint; runs of older versions say neither.
    """

    name: str
    method: str | None
    steps: int
    penalty_weight: float | None = None
    weights_sha256: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def policy_files(self) -> dict[str, str]:
        """The `files` that a commit keeps."""
        return {name: digest for name, digest in self.files.items() if name.startswith(f"{POLICY}/")}


BASE = SavedStage("base", None, 0)


def saved_stage(folder: Path) -> SavedStage | None:
    """The stage saved in a folder; `None` while its policy is not saved.

    Raises:
        RunError: the file that says so cannot be read.
    """
    found = [folder / name for name in (STAGE_FILE, STAGE_FILE_1) if (folder / name).exists()]
    if not found:
        return None
    try:
        return TypeAdapter(SavedStage).validate_python(read_json(found[0]))
    except ValidationError as error:
        raise RunError(f"{found[0]} is damaged: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error


def save_stage(life: Life, number: int, saved: SavedStage) -> SavedStage:
    """Write the policy that the stage ends with, then vouch for it; from here on a kill costs no training."""
    life.logger.phase("saving", stage=number, name=saved.name)
    digest = ranks.same(life.world.policy.fingerprint(), f"the weights after stage {number}: their SHA-256")
    return ranks.told(lambda: _save(life, number, replace(saved, weights_sha256=digest)))


def _save(life: Life, number: int, saved: SavedStage) -> SavedStage:
    partial = life.folder.partial_stage(number, saved.name)
    policy = partial / POLICY
    _forget(partial)
    shutil.rmtree(policy, ignore_errors=True)
    with naming(policy):
        life.world.policy.save(policy)
        for path in policy.glob(WEIGHTS):
            keep_once(path, [one for one in partial.rglob(WEIGHTS) if one.parent != policy])
        readable(policy)
    sync_all(partial)
    files = hashes(partial, without=("checkpoints", *GOOD_STATE))
    saved = replace(saved, files=files)
    write_json(partial / STAGE_FILE, asdict(saved))
    return saved


def commit_stage(life: Life, number: int, saved: SavedStage) -> None:
    """Read the policy back, commit it and the record of the steps, and journal that the stage is done."""
    life.logger.phase("saving", stage=number, name=saved.name)
    partial = life.folder.partial_stage(number, saved.name)
    ranks.told(lambda: _keep_policy(partial, saved))
    _read_back(life, number, partial, saved)
    ranks.wait()
    ranks.told(lambda: commit_folder(partial, life.folder.stage(number, saved.name)))
    log_commit(life, number, saved)
    ranks.told(lambda: drop_policies(life.folder, life.curriculum, number))


def _keep_policy(partial: Path, saved: SavedStage) -> None:
    kept = saved.policy_files or {f"{POLICY}/{name}" for name in hashes(partial / POLICY)}
    keep_only(partial, {STAGE_FILE, STAGE_FILE_1, TABLE, *kept})


def _read_back(life: Life, number: int, partial: Path, saved: SavedStage) -> None:
    """Refuse a saved policy that is not, bit for bit, the one in memory. Raises as `take_up`."""
    files = saved.policy_files
    weights = [name for name in files if name.endswith(WEIGHTS.removeprefix("*"))]
    if len(weights) == 1 and ranks.told(lambda: _holds(partial / weights[0], life.world)):
        del files[weights[0]]
        fault = ranks.told(lambda: first_damaged(partial, files))
        if fault is not None:
            raise RunError(run_again(life.folder.path, number, fault))
    else:
        take_up(life.world, life.folder, number, partial, replace(saved, files=files))


def _holds(path: Path, world: World) -> bool:
    """True if a file is the weights in memory; a policy may save them otherwise, or the file may be damaged."""
    try:
        return holds(path, world.trained)
    except Exception:  # safetensors raises its own
        return False


def take_up(world: World, run: RunFolder, number: int, folder: Path, saved: SavedStage) -> None:
    """Make a world's policy the one that is saved in a stage's folder, which must be what was written.

    Raises:
        RunError: it is not, or cannot be read; what the policy is then is not said.
    """
    fault = ranks.told(lambda: first_damaged(folder, saved.files))
    if fault is None:
        try:
            world.policy.restore(folder / POLICY)
        except Exception as error:  # a damaged file makes libraries raise anything
            fault = f"{folder / POLICY} cannot be read: {str(error).splitlines()[:1]}"
        else:
            right = saved.weights_sha256 in (None, world.policy.fingerprint())
            fault = None if right else f"{folder / POLICY} holds other weights than the stage ended with"
    if fault is not None:
        raise RunError(run_again(run.path, number, fault))


def run_again(run: Path, number: int, fault: str) -> str:
    """The message about a stage that cannot be taken up: to run again from it, or from where a policy is kept."""
    first = number
    while first > 1 and not any(
        path.parent.suffix != ".partial" for path in (run / "stages").glob(row_name(first - 1, f"*/{POLICY}"))
    ):
        first -= 1
    whole = "it" if first == number else f"stage {first}"
    return (
        f"{fault}. Stage {number} cannot be taken up; run {whole} and all later ones again with: "
        f"perdure resume {run} --redo-from {first}"
    )


def restore_stage(life: Life, number: int) -> SavedStage:
    """Make the policy that of a committed stage; stage 0 is the base. Raises as `restore_policy`."""
    return restore_policy(life.world, life.folder, life.curriculum, life.logger.state, number)


def restore_policy(world: World, run: RunFolder, curriculum: Curriculum, state: RunState, number: int) -> SavedStage:
    """Make a world's policy that of a committed stage of a run; stage 0 is the base.

    Raises:
        RunError: it is damaged, or was not kept.
    """
    ranks.told(lambda: refuse_dropped(run, curriculum, number, len(state.done)))
    if number == 0:
        world.become_base()
        return BASE
    folder = run.stage(number, curriculum.stages[number - 1].name)
    saved, row = ranks.told(lambda: saved_stage(folder)), state.row(number)
    if saved is None:
        raise RunError(run_again(run.path, number, f"{folder / STAGE_FILE} is missing"))
    known = saved.weights_sha256 if row is None or row.weights_sha256 is None else row.weights_sha256
    take_up(world, run, number, folder, replace(saved, files=saved.policy_files, weights_sha256=known))
    return saved


def is_committed(life: Life, number: int) -> bool:
    """True if a stage's folder is there, whole."""
    return ranks.told(life.folder.stage(number, life.curriculum.stages[number - 1].name).exists)


def resume_stage(life: Life, number: int) -> None:
    """Restore the policy of a stage that was committed before, and make sure that the journal says so."""
    row = life.logger.state.row(number)
    if row is None or not row.committed:
        log_commit(life, number, restore_stage(life, number))
    elif not any(is_committed(life, later) for later, _, _ in life.stages[number:]):
        restore_stage(life, number)
    ranks.wait()
    ranks.told(lambda: drop_policies(life.folder, life.curriculum, len(life.logger.state.done)))


def taken_up(life: Life, number: int, stage: Stage) -> SavedStage | None:
    """The stage that was saved and not committed before, its policy restored; `None` if there is none.

    One that is damaged counts as absent: it is trained again, from the end of the stage before.
    """
    partial = life.folder.partial_stage(number, stage.name)
    ranks.told(lambda: make_folder(partial))
    ranks.told(lambda: clear_leftovers(partial))
    with suppress(RunError):
        saved = ranks.told(lambda: saved_stage(partial))
        if saved is not None:
            take_up(life.world, life.folder, number, partial, saved)
        return saved
    ranks.told(lambda: _forget(partial))
    restore_stage(life, number - 1)
    return None


def log_commit(life: Life, number: int, saved: SavedStage) -> None:
    """Journal that a stage is done; the policy is the one it ended with, hashed here where that was not done before."""
    life.logger.log(
        Committed(
            stage=number,
            name=saved.name,
            method=saved.method,
            steps=saved.steps,
            penalty_weight=saved.penalty_weight,
            seconds=life.logger.active_seconds(number),
            weights_sha256=saved.weights_sha256 or life.world.policy.fingerprint(),
        )
    )


def _forget(partial: Path) -> None:
    """Vouch for nothing in a folder any longer."""
    for name in (STAGE_FILE, STAGE_FILE_1):
        (partial / name).unlink(missing_ok=True)
