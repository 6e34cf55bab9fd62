"""`keep`: which stages' policies stay, and what asks for one that went says so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.api.policy import load_policy
from perdure.agent.export.export import ExportRequest, export
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.kept import drop_policies
from perdure.agent.setup import resume, start
from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.budget.errors import RunError
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_run import (
    Killed,
    Onlooker,
    curriculum,
    outcome,
    record_of,
    row_of,
    run_through,
    scalar_run,
)
from tests.faults.rehearsal import VISION
from tests.plugin.perdure_scalar.world import ScalarPolicy, ScalarWorld


def keeping(keep: Any, stages: int = 3, rate: float = 0.05) -> Curriculum:
    return curriculum(stages, rate).model_copy(update={"keep": keep})


def kept(run: Path) -> list[str]:
    return sorted(path.parent.name[:2] for path in run.glob("stages/*/policy"))


@pytest.mark.parametrize(("keep", "left"), [("all", ["01", "02", "03"]), (2, ["02", "03"]), ("last", ["03"])])
def test_the_last_policies_stay_and_the_run_is_the_same(tmp_path: Path, keep: Any, left: list[str]) -> None:
    found = run_through(tmp_path / "run", keeping(keep))
    assert kept(tmp_path / "run") == left
    assert outcome(found) == outcome(run_through(tmp_path / "all", keeping("all")))
    # what is read from an earlier stage is there, whatever is kept
    assert {path.name for path in (tmp_path / "run/stages/01-task0").iterdir()} >= {"stage.json", "steps.parquet"}


def test_killed_after_any_event_it_comes_to_the_same(tmp_path: Path) -> None:
    config = keeping("last")
    whole = run_through(tmp_path / "whole", config)
    for cut in range(2, len(list(read_journal(tmp_path / "whole" / "journal.jsonl")))):
        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, config, ScalarWorld(), Onlooker(cry_at=cut)))
        assert outcome(run_through(path, config)) == outcome(whole)
        assert kept(path) == ["03"]


def test_what_a_kill_left_of_a_policy_goes(tmp_path: Path) -> None:
    life = scalar_run(tmp_path / "run", keeping("all"), ScalarWorld())
    run_curriculum(life)
    (tmp_path / "run/stages/01-task0/policy").rename(tmp_path / "run/stages/01-task0/policy.partial")
    drop_policies(life.folder, keeping(2), 3)
    assert kept(tmp_path / "run") == ["02", "03"]
    assert not list((tmp_path / "run").glob("stages/*/policy.partial"))


class Growing(ScalarWorld):
    """The more tasks its KL is on, the larger it is."""

    tasks = 0

    def measure(self, names: Sequence[str]) -> Measurement:
        self.tasks = len(names)
        return super().measure(names)

    def _group(self, name: str) -> Group:
        return Group((self.tasks * self.policy.weight**2,), (1,))


@pytest.mark.parametrize(
    ("keep", "target", "kl"),
    [
        ("all", "the end of stage 1", 3 * 0.3**2),
        ("last", "the base, since the policy of stage 1 was not kept", 0.0),
    ],
)
def test_a_rollback_passes_over_what_was_not_kept(tmp_path: Path, keep: Any, target: str, kl: float) -> None:
    # six steps of 0.05: 0.3 (0.09), 0.6 (2 x 0.36), and on three tasks 3 x 0.36 = 1.08 is above the cap of 1
    run_curriculum(scalar_run(tmp_path / "run", keeping(keep), Growing()))
    row = row_of(record_of(tmp_path / "run"), 3)
    assert row.interventions[-1].target == target
    assert row.readings[-1].kl_per_token.value == pytest.approx(kl)


class KilledWhileSaving(ScalarWorld):
    """Is killed before its n-th checkpoint is written, when the good state is on the disk."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def update(self, job: UpdateJob) -> Outcome:
        def saving() -> Any:
            found = job.saving()
            self.left -= 1
            if self.left == 0:
                raise Killed
            return found

        return super().update(replace(job, saving=saving))


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("every", [2, 3])
def test_killed_between_a_good_state_and_its_checkpoint_it_comes_to_the_same(
    tmp_path: Path, at: int, every: int
) -> None:
    # readings at steps 2, 4, 6 or 3, 6, checkpoints at 3 and 6: the cap ends each stage by a rollback
    config = curriculum(2, 0.2, every=every, kl=0.5)
    whole = run_through(tmp_path / "whole", config)
    assert any(row.interventions for row in whole.rows)
    try:
        run_curriculum(scalar_run(tmp_path / "cut", config, KilledWhileSaving(at)))
    except Killed:
        run_through(tmp_path / "cut", config)
    assert outcome(record_of(tmp_path / "cut")) == outcome(whole)


class Counting(ScalarPolicy):
    """Counts how often it is hashed."""

    def __init__(self) -> None:
        super().__init__()
        self.hashed = 0

    def fingerprint(self) -> str:
        self.hashed += 1
        return super().fingerprint()


def test_the_weights_are_hashed_once_a_stage(tmp_path: Path) -> None:
    world = ScalarWorld()
    world.policy = policy = Counting()
    run_curriculum(scalar_run(tmp_path / "run", keeping("all"), world))
    assert policy.hashed == 1 + 3  # the base and three stages


def test_who_asks_for_a_policy_that_went_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_curriculum(start(Curriculum.model_validate(VISION | {"keep": "last"}), run, Onlooker()))
    assert kept(run) == ["02"]
    said = r"the policy after stage 1 was not kept \(keep: last\); there are those of stage 2 and the base"
    with pytest.raises(RunError, match=said):
        load_policy(run, 1)
    with pytest.raises(RunError, match=said):
        export(run, ExportRequest(stage=1, target=tmp_path / "out"), lambda described: "")
    with pytest.raises(RunError, match=r"--redo-from 2: the policy after stage 1, .* not kept .* go back to 1"):
        resume(run, Onlooker(), redo_from=2)
    assert load_policy(run, None).fingerprint() == row_of(record_of(run), 2).weights_sha256
    resume(run, Onlooker())
    (run / "stages/02-prime/policy/model.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"run stage 1 and all later ones again with: .* --redo-from 1"):
        resume(run, Onlooker())
