"""The diagonal Fisher information against one gradient at a time."""

import torch

from perdure.agent.worlds.vision.fisher import diagonal_fisher
from perdure.agent.worlds.vision.mlp import forward, new_params


def test_it_is_the_expected_squared_gradient() -> None:
    params = new_params([5, 4, 3], torch.Generator().manual_seed(0))
    inputs_NF = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    expected = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in params.items()}
    for image_F in inputs_NF:
        log_C = forward(leaves, image_F[None])[0].log_softmax(-1)
        for label in range(3):
            gradients = torch.autograd.grad(log_C[label], list(leaves.values()), retain_graph=True)
            for name, gradient in zip(leaves, gradients, strict=True):
                expected[name] += log_C[label].exp().detach() * gradient.square() / 6
    found = diagonal_fisher(params, inputs_NF)
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, atol=1e-6), name
