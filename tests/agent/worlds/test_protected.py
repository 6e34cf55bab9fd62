"""The penalty of `cpo`: which weights are protected, and what their movement costs."""

import pytest
import torch
from torch import Tensor, nn

from perdure.agent.worlds.terms import Protected, most_important
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.methods import cpo
from perdure.agent.worlds.vision.mlp import Params, new_params, stack
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.curriculum.settings import Cpo
from perdure.curriculum.worlds.registry import spec_of


def test_the_largest_figures_are_protected_as_far_as_they_count() -> None:
    figures = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3]])
    # a third of six is two; one at least; of all six the one that is 0 is not
    assert most_important(figures, 1 / 3).tolist() == [[False, True, False], [True, False, False]]
    assert int(most_important(figures, 0.01).sum()) == 1
    assert most_important(figures, 1.0).tolist() == [[True, True, False], [True, True, True]]


def test_movement_costs_its_mean_over_the_protected_weights() -> None:
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    term = Protected(model, 10.0, 0.5, lambda: {"weight": torch.tensor([[0.0, 5.0, 1.0, 6.0]])})
    term.begin()
    assert float(term.add(0, Tensor.backward)) == 0
    with torch.no_grad():
        model.weight.add_(torch.tensor([[9.0, 0.5, 9.0, -0.1]]))
    model.zero_grad()
    # the second and the fourth are protected: 10 (0.5 + 0.1) / 2, and the gradient is 10 / 2 by the sign of the move
    assert float(term.add(1, Tensor.backward)) == pytest.approx(3.0)
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[0.0, 5.0, 0.0, -5.0]]


def test_nothing_is_protected_where_no_weight_counts() -> None:
    model = nn.Linear(2, 1, bias=False)
    term = Protected(model, 10.0, 0.5, lambda: {"weight": torch.zeros(1, 2)})
    term.begin()
    assert float(term.add(0, Tensor.backward)) == 0


def test_a_stack_of_images_models_has_masks_of_its_own() -> None:
    """In the vision world the same figures, model by model: all weights that count, moved by 0.01 each."""
    models = [new_params([6, 8, 4], torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    stacked: Params = stack(models)
    inputs_NF = torch.randn(20, 6, generator=torch.Generator().manual_seed(2))
    tensors = TaskTensors(inputs_NF, torch.ones(20, 4), None, torch.zeros(1, 20, 4))
    settings = Cpo(cpo_lambda=100.0, protected=0.3)
    (term,) = cpo.modify(spec_of("vision").method("sft+cpo"), settings, stacked, Changes(tensors)).terms
    nothing = torch.zeros(2, 1, 4)
    assert term(stacked, 0, nothing, {}).tolist() == [0.0, 0.0]
    moved = {
        name: tensor + torch.tensor([0.01, -0.02]).view(2, *[1] * (tensor.dim() - 1))
        for name, tensor in stacked.items()
    }
    assert term(moved, 0, nothing, {}).tolist() == pytest.approx([1.0, 2.0], rel=1e-4)
    one = {name: tensor.clone() for name, tensor in stacked.items()}
    one["0.weight"][0] += 0.01  # of the first model alone, and of one of its tensors
    first, second = term(one, 0, nothing, {}).tolist()
    assert 0 < first < 1 and second == 0
