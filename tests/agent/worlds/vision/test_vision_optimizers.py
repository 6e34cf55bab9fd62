"""AdamW for a stack: what it comes to, and what it does not import."""

import subprocess
import sys

import torch

from perdure.agent.worlds.schedule import Plan
from perdure.agent.worlds.vision.optimizers import WholeWeights

PLANS = [Plan(rate, "cosine", 2, 20, 8, weight_decay=0.01, max_grad_norm=0.0) for rate in (1e-3, 1e-1)]
START = torch.arange(24.0).reshape(2, 3, 4) / 7
INPUTS = torch.linspace(-1, 1, 30).reshape(2, 5, 3)


def test_a_model_of_a_stack_is_trained_as_torch_trains_it() -> None:
    stacked = {"w": START.clone()}
    ours = WholeWeights(stacked, PLANS)
    alone = [START[index].clone().requires_grad_() for index in range(2)]
    groups = [
        torch.optim.AdamW([one], lr=plan.learning_rate, weight_decay=0.01, fused=True)
        for one, plan in zip(alone, PLANS, strict=True)
    ]
    for step in range(1, 9):
        rates = ours.step((INPUTS @ ours.leaves["w"]).square().mean((1, 2)), step)
        for index, (one, optimizer) in enumerate(zip(alone, groups, strict=True)):
            optimizer.param_groups[0]["lr"] = rates[index]
            (one.grad,) = torch.autograd.grad((INPUTS[index] @ one).square().mean(), one)
            optimizer.step()
    torch.testing.assert_close(stacked["w"].detach(), torch.stack([one.detach() for one in alone]))
    assert not torch.equal(stacked["w"].detach(), START)


def test_a_step_imports_no_compiler_and_no_library_of_another_world() -> None:
    code = (
        "import sys, torch; from tests.agent.worlds.vision import test_vision_optimizers as test; "
        "import perdure.agent.worlds.vision.world; "
        "ours = test.WholeWeights({'w': test.START.clone()}, test.PLANS); "
        "ours.step((test.INPUTS @ ours.leaves['w']).square().mean((1, 2)), 1); "
        "print([name for name in ('torch._dynamo', 'sympy', 'trl', 'transformers', 'lm_eval') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
