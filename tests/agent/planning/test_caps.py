"""`plan --budget`: steps of the first task, what they took, and a policy that is as it was."""

from pathlib import Path
from typing import Any

import pytest

from perdure.agent.planning.caps import Asked, CapPlan, propose_cap
from perdure.agent.prepare import prepare
from perdure.agent.prices import price_stages
from perdure.agent.run.log import NullView
from perdure.agent.seeds import derive
from perdure.agent.worlds.base_prompts import base_prompts
from perdure.cli.views.cap_report import cap_lines
from perdure.cli.views.symbols import ASCII
from perdure.cli.views.text_table import Form
from perdure.curriculum.schema import Curriculum
from tests.agent.worlds.vision.test_vision_run import curriculum as vision
from tests.agent.worlds.vision.test_vision_run import images
from tests.control_runs import curriculum as control
from tests.control_runs import point


def proposed(curriculum: Curriculum, folder: Path, steps: int) -> CapPlan:
    ready = prepare(curriculum, NullView())
    prompts = base_prompts(curriculum, ready.tasks)
    ready.world.prepare_base(prompts, folder / "base", seed=derive(curriculum.seed, "base"))
    before = ready.world.policy.fingerprint()
    found = propose_cap(ready, price_stages(curriculum, {}, {}), Asked(steps, 0.03), folder / "trial", NullView())
    assert ready.world.policy.fingerprint() == before and not (folder / "trial").exists()
    return found


def text(found: CapPlan, curriculum: Curriculum) -> str:
    lines = cap_lines(found, "nats/token", curriculum.spec.nouns, ASCII, Form(ASCII))
    return "\n".join(line.plain for line in lines)


def stages(**more: Any) -> dict[str, Any]:
    return {"stages": [{"name": name, "task": images()} for name in ("one", "two")], "benchmarks": [], **more}


def test_what_is_measured_and_proposed(tmp_path: Path) -> None:
    budget = {"kl": 0.3, "every": 3, "num_prompts": 40, "allocation": "even"}
    curriculum = vision(**stages(budget=budget))
    found = proposed(curriculum, tmp_path, 8)
    assert [one.step for one in found.points] == [1, 2, 4, 8] and found.stage_steps == 10
    assert all(one.kl.value > 0 and one.gain.n == 40 for one in found.points)
    assert found.share == 0.5  # the first of two stages with equal parts
    assert found.law is not None and found.proposal is not None and found.proposal.kl is not None
    assert {0.3, found.proposal.kl} <= {one.kl for one in found.caps}
    assert all(one.forgetting is None and one.stage_kl == one.kl / 2 for one in found.caps)
    said = text(found, curriculum)
    assert "what budget? 8 steps of rl on one from the base" in said and "forgetting: n/a, since" in said
    assert f"proposed: budget.kl: {found.proposal.kl:g}, what the first stage is expected to take in its 10" in said


def test_a_policy_that_acts(tmp_path: Path) -> None:
    curriculum = control([point()], max_steps=40)
    found = proposed(curriculum, tmp_path, 4)
    assert [one.step for one in found.points] == [1, 2, 4]
    assert found.proposal is not None and found.proposal.kl is None and "give --steps 10" in found.proposal.reason
    assert "of 2 starts set aside from training, by sampled episodes" in text(found, curriculum)


def test_a_loss_that_breaks_is_said(tmp_path: Path) -> None:
    curriculum = vision(**stages(train={"learning_rate": 1e30, "max_steps": 6, "per_device_train_batch_size": 32}))
    found = proposed(curriculum, tmp_path, 4)
    assert found.fault is not None and found.fault.startswith("the KL became nan at step 1: lower the learning rate")
    assert text(found, curriculum).startswith("no budget proposed: rl on one: the KL became nan")


@pytest.mark.parametrize("steps", [4, 50])
def test_no_more_steps_than_the_stage_has(tmp_path: Path, steps: int) -> None:
    assert proposed(vision(**stages()), tmp_path, steps).points[-1].step == min(steps, 10)
