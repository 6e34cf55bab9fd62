"""Changes of weights and activations by hand, and against slower ways to the same figure."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from perdure.budget.change import activation_change, cknna, spectrum, update_sparsity, weight_change


def test_weight_change_by_hand() -> None:
    base = {"w": torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), "b": torch.tensor([[0.0, 2.0]])}
    # δ of the first: the matrix (3, 0; 0, 4), the bias (0, -1): L1 8, L2 sqrt(9 + 16 + 1), singular values 4 and 3.
    # The second model did not move
    policy = {
        "w": torch.stack([torch.tensor([[4.0, 0.0], [0.0, 5.0]]), base["w"][0]]),
        "b": torch.stack([torch.tensor([0.0, 1.0]), base["b"][0]]),
    }
    fisher = {"w": torch.tensor([[[1.0, 9.0], [9.0, 0.25]]]), "b": torch.tensor([[9.0, 2.0]])}
    found = weight_change(base, policy, fisher)
    assert found.l1_M.tolist() == [8, 0]
    assert found.l2_M.tolist() == pytest.approx([26**0.5, 0])
    # 1 * 9 + 0.25 * 16 + 2 * 1 = 15
    assert found.fisher_M is not None
    assert found.fisher_M.tolist() == pytest.approx([15**0.5, 0])
    assert found.spectral_M.tolist() == pytest.approx([4, 0])
    assert found.rank_M.tolist() == [2, 0]
    # 3 of 6 entries stayed
    assert found.sparsity_M.tolist() == [0.5, 1.0]
    assert weight_change(base, policy).fisher_M is None


def test_spectrum_and_rank_are_means_over_matrices() -> None:
    base = {"a": torch.zeros(1, 2, 3), "b": torch.zeros(1, 4, 2), "bias": torch.zeros(1, 2)}
    a, b = torch.zeros(1, 2, 3), torch.zeros(1, 4, 2)
    a[0, 0, 1], b[0, 0, 0], b[0, 1, 1] = 6.0, 2.0, 1.0
    found = weight_change(base, {"a": a, "b": b, "bias": torch.ones(1, 2)})
    assert found.spectral_M.tolist() == pytest.approx([(6 + 2) / 2])
    assert found.rank_M.tolist() == pytest.approx([(1 + 2) / 2])


def test_each_model_may_have_its_own_base() -> None:
    rng = torch.Generator().manual_seed(0)
    base = {"w": torch.randn(3, 5, 4, generator=rng)}
    policy = {"w": torch.randn(3, 5, 4, generator=rng)}
    together = weight_change(base, policy)
    for m in range(3):
        alone = weight_change({"w": base["w"][m : m + 1]}, {"w": policy["w"][m : m + 1]})
        for name in ("l1_M", "l2_M", "spectral_M", "sparsity_M", "rank_M"):
            assert getattr(alone, name)[0] == pytest.approx(float(getattr(together, name)[m]), rel=1e-5)


def test_sparsity_is_that_of_bfloat16() -> None:
    # between 1 and 2 bfloat16 has steps of 1/128: 1.001 rounds to 1, 1.01 does not
    base = {"w": torch.tensor([[1.0, 1.0, 1.0, 0.0]])}
    policy = {"w": torch.tensor([[1.001, 1.01, 1.0, 1e-30]])}
    assert update_sparsity(base, policy).tolist() == [0.5]


def low_rank(rank: int, rows: int, columns: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(1, rows, rank, generator=rng))
    right, _ = torch.linalg.qr(torch.randn(1, columns, rank, generator=rng))
    return (left * torch.linspace(1.0, 0.1, rank)) @ right.mT


@given(
    st.integers(1, 5), st.integers(5, 9), st.integers(5, 9), st.integers(0, 1000), st.sampled_from([1e-20, 1.0, 1e8])
)
def test_the_spectrum_is_that_of_the_singular_values(
    rank: int, rows: int, columns: int, seed: int, scale: float
) -> None:
    matrix = low_rank(rank, rows, columns, seed) * scale
    largest, found = spectrum(matrix)
    assert found.tolist() == [rank]
    assert largest[0] == pytest.approx(float(torch.linalg.svdvals(matrix)[0, 0]), rel=1e-4)


def test_what_is_small_beside_the_largest_does_not_count() -> None:
    matrix = torch.diag(torch.tensor([1.0, 0.011, 0.009]))[None]
    assert spectrum(matrix)[1].tolist() == [2]
    assert spectrum(matrix, tolerance=0.1)[1].tolist() == [1]
    with pytest.raises(ValueError, match="tolerance"):
        spectrum(matrix, tolerance=1e-6)
    with pytest.raises(ValueError, match="shape"):
        spectrum(matrix[0])


def test_weights_that_do_not_fit_are_refused() -> None:
    one = {"w": torch.zeros(1, 2, 2)}
    with pytest.raises(ValueError, match="same names"):
        weight_change(one, {"v": torch.zeros(1, 2, 2)})
    with pytest.raises(ValueError, match="w must be"):
        weight_change(one, {"w": torch.zeros(1, 2, 3)})
    with pytest.raises(ValueError, match="w must be"):
        weight_change({"w": torch.zeros(2, 2, 2)}, {"w": torch.zeros(3, 2, 2)})
    with pytest.raises(ValueError, match="same names"):
        weight_change({}, {})
    with pytest.raises(ValueError, match="w must be"):
        weight_change(one, {"w": torch.zeros(1, 2, 2)}, {"w": torch.zeros(1, 4)})
    with pytest.raises(ValueError, match="no matrix"):
        weight_change({"b": torch.zeros(1, 3)}, {"b": torch.zeros(1, 3)})


def test_activation_change_by_hand() -> None:
    base = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    # rows move by (3, 4), nothing, (0, -1): L1 (7 + 0 + 1) / 3, L2 (5 + 0 + 1) / 3
    policy = torch.tensor([[[3.0, 4.0], [1.0, 1.0], [2.0, -1.0]]])
    found = activation_change(base, policy, neighbours=1)
    assert found.l1_M.tolist() == pytest.approx([8 / 3])
    assert found.l2_M.tolist() == pytest.approx([2.0])


def test_cknna_by_hand() -> None:
    # four directions: 1 and 2 near each other, 3 and 4 too (cosine 0.8 within a pair, 0 across)
    base = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1.0, 0], [0, 0, 0.8, 0.6]])
    assert cknna(base, base[None], 1).tolist() == pytest.approx([1.0])
    # 2 and 3 change places: every nearest neighbour is another, so none is shared
    assert cknna(base, base[[0, 2, 1, 3]][None], 1).tolist() == [0.0]
    # here 1 keeps 2, but 2 goes to 4, 3 to 1 and 4 to 2: one neighbour of four is shared.
    # Rows of L: 1, .8, .6, .6 | .8, 1, .48, .96 | .6, .48, 1, .36 | .6, .96, .36, 1, of means .75, .81, .61, .73, so
    # the neighbours have .05, .15, -.01, .23 and A(L, L) = .0025 + .0225 + .0001 + .0529 = .078.
    # In K they have .8 - .45 = .35 each: A(K, K) = .49, and A(K, L) = .35 * .05 = .0175
    policy = torch.tensor([[[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0.6, 0, 0.8, 0], [0.6, 0.8, 0, 0]]])
    assert cknna(base, policy, 1).tolist() == pytest.approx([0.0175 / (0.49 * 0.078) ** 0.5])


def slow_cknna(base: Tensor, policy: Tensor, k: int) -> float:
    def kernel(x: Tensor) -> tuple[list[list[float]], list[set[int]]]:
        x = x / x.norm(dim=1, keepdim=True)
        rows = [[float(a @ b) for b in x] for a in x]
        near = [set(sorted((j for j in range(len(x)) if j != i), key=lambda j: -rows[i][j])[:k]) for i in range(len(x))]
        return [[v - sum(row) / len(row) for v in row] for row in rows], near

    def align(one: tuple[list[list[float]], list[set[int]]], two: tuple[list[list[float]], list[set[int]]]) -> float:
        return sum(one[0][i][j] * two[0][i][j] for i in range(len(one[0])) for j in one[1][i] & two[1][i])

    a, b = kernel(base), kernel(policy)
    return align(a, b) / (align(a, a) * align(b, b)) ** 0.5


def test_cknna_against_its_formula_in_loops() -> None:
    rng = torch.Generator().manual_seed(1)
    base = torch.randn(30, 6, generator=rng)
    policy = base + 0.5 * torch.randn(2, 30, 6, generator=rng)
    found = cknna(base, policy, 5)
    assert found.tolist() == pytest.approx([slow_cknna(base, policy[m], 5) for m in range(2)], abs=1e-5)
    assert 0 < found[0] < 1


def test_cknna_does_not_see_rotations_or_scales() -> None:
    rng = torch.Generator().manual_seed(2)
    base = torch.randn(40, 5, generator=rng)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=rng))
    assert cknna(base, (3 * base @ turn)[None]).tolist() == pytest.approx([1.0], abs=1e-4)
    dead = cknna(base, torch.zeros(1, 40, 5))
    assert dead.tolist() == [0.0]


def test_activations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        activation_change(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="10 neighbours need more than 10 items"):
        cknna(torch.zeros(10, 2), torch.zeros(1, 10, 2))
