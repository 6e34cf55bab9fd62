"""Rngs of many models: what each gets is its own, and has the right frequencies."""

import torch

from perdure.agent.worlds.vision.rngs import Rngs, counts

CPU = torch.device("cpu")


def test_a_model_draws_the_same_alone_and_in_company() -> None:
    table_1NC = torch.rand(1, 5, 4)
    together = Rngs([3, 4, 5], CPU)
    alone = Rngs([4], CPU)
    for _ in range(3):
        assert torch.equal(together.labels(table_1NC, 6)[1], alone.labels(table_1NC, 6)[0])
        assert torch.equal(together.orders(9)[1], alone.orders(9)[0])


def test_labels_have_the_frequencies_of_rows_that_need_not_be_normalised() -> None:
    # (2, 0, 6): label 0 with 1/4, label 1 never, label 2 with 3/4; the deviation of 40,000 draws is below 0.0022
    labels = Rngs([0], CPU).labels(torch.tensor([[[2.0, 0.0, 6.0]]]), 40_000)
    shares = torch.bincount(labels.flatten(), minlength=3) / 40_000
    assert abs(shares[0] - 0.25) < 0.01
    assert shares[1] == 0


def test_rows_that_are_nan_or_without_mass_give_some_label_and_leave_the_others_alone() -> None:
    fine_2NC = torch.rand(2, 4, 3)
    broken_2NC = fine_2NC.clone()
    broken_2NC[0, 1], broken_2NC[0, 3] = torch.nan, 0.0
    expected = Rngs([0, 1], CPU).labels(fine_2NC, 50)
    rngs = Rngs([0, 1], CPU)
    labels = rngs.labels(broken_2NC, 50)
    assert set(labels.flatten().tolist()) <= {0, 1, 2}
    assert torch.equal(labels[0, ::2], expected[0, ::2])
    assert torch.equal(labels[1], expected[1])
    # No more and no fewer numbers were drawn, so that what comes next is the same too.
    after = Rngs([0, 1], CPU)
    after.labels(fine_2NC, 50)
    assert torch.equal(rngs.orders(9), after.orders(9))


def test_counts() -> None:
    labels_MNG = torch.tensor([[[0, 2, 2], [1, 1, 1]]])
    assert counts(labels_MNG, 3).tolist() == [[[1, 0, 2], [0, 3, 0]]]
