"""Training without inputs that are zero everywhere: the same update as with them, to rounding."""

from collections.abc import Sequence
from importlib import import_module

import pytest
import torch

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.dead_inputs import live_inputs, narrow
from perdure.agent.worlds.vision.mlp import Params, new_params, stack
from perdure.agent.worlds.vision.optimizers import WholeWeights
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.training import StackStep, descend, train
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.registry import spec_of
from perdure.curriculum.worlds.vision.spec import VisionSft

FEATURES, IMAGES = 64, 40
LIVE = [3, 5, *range(20, 45)]
PLAN = Plan(1e-2, "constant", 0, 12, 8, weight_decay=0.0, max_grad_norm=0.0)
SFT = spec_of("vision").method("sft")


def tensors() -> TaskTensors:
    generator = torch.Generator().manual_seed(1)
    inputs_NF = torch.zeros(IMAGES, FEATURES)
    inputs_NF[:, LIVE] = torch.rand(IMAGES, len(LIVE), generator=generator)
    choices_NC = torch.nn.functional.one_hot(torch.arange(IMAGES) % 3, 3).float()
    return TaskTensors(inputs_NF, choices_NC, choices_NC, torch.zeros(1, IMAGES, 3))


def models() -> Params:
    return stack([new_params([FEATURES, 10, 3], torch.Generator().manual_seed(seed)) for seed in (0, 1)])


def seen(stacked: Params, looked_at: Sequence[int] | None) -> list[torch.Tensor]:
    """The first layer after each step, as `after_step` sees it; `stacked` ends as trained."""
    found = []

    def after_step(step: StackStep) -> bool:
        found.append(stacked["0.weight"].detach().clone())
        return False

    settings = MethodSettings(VisionSft(), {})
    train(stacked, tensors(), SFT, settings, [PLAN, PLAN], [7, 8], after_step, looked_at=looked_at)
    return found


def test_the_inputs_that_are_left_are_the_live_ones_and_a_few_more() -> None:
    found = live_inputs(tensors().inputs_NF)
    assert found is not None
    assert len(found) == 32  # 27 are alive
    assert set(LIVE) < set(found.tolist())
    assert found.tolist() == sorted(found.tolist())
    assert live_inputs(torch.ones(4, FEATURES)) is None


def test_an_update_ends_where_it_does_with_all_inputs() -> None:
    plain, start, fewer = models(), models(), models()
    objective = import_module(SFT.objective.code)
    descend(plain, Changes(tensors()), objective, VisionSft(), [PLAN, PLAN], [7, 8], lambda step: False)
    after = seen(fewer, None)
    for name, tensor in plain.items():
        assert torch.allclose(tensor, fewer[name], atol=1e-5), name
        assert not fewer[name].requires_grad
    dead = [column for column in range(FEATURES) if column not in LIVE]
    assert torch.equal(plain["0.weight"][:, dead], start["0.weight"][:, dead])
    assert torch.equal(fewer["0.weight"][:, dead], start["0.weight"][:, dead])
    assert len({tuple(one[0, LIVE[0]].tolist()) for one in after}) == PLAN.steps  # up to date after every step


def test_only_the_steps_that_are_looked_at_bring_the_weights_up_to_date() -> None:
    fewer, all_steps = models(), models()
    some, every = seen(fewer, [5]), seen(all_steps, None)
    assert torch.equal(some[4], every[4])
    assert torch.equal(some[5], every[4])
    assert torch.equal(fewer["0.weight"], all_steps["0.weight"])


@pytest.mark.parametrize("what", ["terms", "decay", "optimizer"])
def test_all_inputs_are_kept_where_something_else_acts_on_the_weights(what: str) -> None:
    changes, plan = Changes(tensors()), PLAN
    assert narrow(models(), changes, plan) is not None
    if what == "terms":
        changes = Changes(tensors(), terms=(lambda leaves, step, log, rows: torch.zeros(2),))
    elif what == "decay":
        plan = Plan(1e-2, "constant", 0, 12, 8, weight_decay=0.1, max_grad_norm=0.0)
    else:
        changes = Changes(tensors(), optimizer=lambda stacked, plans, rngs: WholeWeights(stacked, plans))
    assert narrow(models(), changes, plan) is None
