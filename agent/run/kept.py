"""The policies of stages that a run keeps, by `keep` of its curriculum."""

from pathlib import Path

from perdure.agent.run.folder import POLICY, RunFolder
from perdure.budget.errors import RunError
from perdure.budget.files import remove, sync
from perdure.curriculum.schema import Curriculum


def most_kept(curriculum: Curriculum) -> int | None:
    """The most policies that are kept; `None` for all."""
    return None if curriculum.keep == "all" else 1 if curriculum.keep == "last" else curriculum.keep


def has_policy(run: RunFolder, curriculum: Curriculum, number: int) -> bool:
    """True if the policy after a committed stage is there; that of stage 0, the base, always is."""
    return number == 0 or (_stage(run, curriculum, number) / POLICY).is_dir()


def is_dropped(run: RunFolder, curriculum: Curriculum, number: int, done: int) -> bool:
    """True if the policy after stage `number` is gone by `keep`, now that `done` stages are done."""
    most = most_kept(curriculum)
    return most is not None and number <= done - most and not has_policy(run, curriculum, number)


def drop_policies(run: RunFolder, curriculum: Curriculum, done: int) -> None:
    """Remove the policies that `keep` does not keep, now that so many stages are done; each is there whole or gone."""
    for number in range(1, done + 1 - (most_kept(curriculum) or done)):
        stage = _stage(run, curriculum, number)
        gone = stage / f"{POLICY}.partial"
        if gone.exists():
            remove(gone)
        if (stage / POLICY).exists():
            (stage / POLICY).rename(gone)
            sync(stage)
            remove(gone)


def refuse_dropped(run: RunFolder, curriculum: Curriculum, number: int, done: int) -> None:
    """Refuse a policy that was not kept.

    Raises:
        RunError: names those that there are.
    """
    if is_dropped(run, curriculum, number, done):
        there = [str(one) for one in range(1, done + 1) if has_policy(run, curriculum, one)]
        raise RunError(
            f"{run.path}: the policy after stage {number} was not kept (keep: {curriculum.keep}); there are those of "
            f"stage{'s' * (len(there) > 1)} {', '.join(there)} and the base. To have it, run the curriculum again with "
            "`keep: all`"
        )


def _stage(run: RunFolder, curriculum: Curriculum, number: int) -> Path:
    return run.stage(number, curriculum.stages[number - 1].name)
