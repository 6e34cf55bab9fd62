"""The table of predictors: ranks, ties and what was not measured."""

import math

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.budget.law.points import FORWARD_KL, Points
from perdure.budget.law.rivals import PREDICTORS, Rival, compare_predictors, verdict
from tests.budget.law.synthetic import kl_of, lives, plain_points


def with_predictors(points: Points, **columns: object) -> Points:
    return Points(
        points.run,
        points.method,
        points.forgetting,
        points.accuracy,
        points.mass,
        points.base_mass,
        {FORWARD_KL: kl_of(points), **columns},
    )


def by_name(rivals: tuple[Rival, ...]) -> dict[str, Rival]:
    return {rival.predictor: rival for rival in rivals}


def test_worse_predictors_are_told_from_kl_and_equal_ones_are_not() -> None:
    points = lives([12, 12], run_noise=0.01)
    rng = np.random.default_rng(0)
    x = kl_of(points)
    rivals = compare_predictors(
        with_predictors(
            points,
            total_variation=2 * x + 1,
            l2_distributions=x * np.exp(rng.normal(0, 0.5, len(x))),
            weight_l1=rng.normal(size=len(x)),
            kl_base_to_policy_old=x.copy(),
        ),
        resamples=300,
    )
    assert [rival.predictor for rival in rivals] == list(PREDICTORS)
    found = by_name(rivals)
    for kind in ("quadratic", "monotone"):
        kl, same = found[FORWARD_KL].standings[kind], found["total_variation"].standings[kind]
        assert (kl.rank, kl.difference, kl.tied) == (1, None, None)
        # a linear map of KL has the same quadratics and the same ramps
        assert same.difference is not None
        assert same.difference.value == pytest.approx(0, abs=1e-9)
        assert (same.rank, same.tied) == (2, True)
        noisy, unrelated = found["l2_distributions"].standings[kind], found["weight_l1"].standings[kind]
        assert (noisy.rank, noisy.tied, unrelated.rank, unrelated.tied) == (3, False, 4, False)
        assert unrelated.difference is not None
        assert unrelated.difference.high < 0
        # those of the old task are compared but not ranked
        assert found["kl_base_to_policy_old"].standings[kind].rank is None
        assert found["kl_base_to_policy_old"].standings[kind].tied is True
        assert verdict(rivals, kind) == "first"
    assert (found["weight_l2"].standings, found["weight_l2"].missing) == ({}, "not measured")


def test_a_better_predictor_puts_kl_behind_and_an_equal_one_ties_it() -> None:
    points = lives([15, 15], run_noise=0.0, noise=0.02)
    x, rng = kl_of(points), np.random.default_rng(1)
    blurred = x * np.exp(rng.normal(0, 0.6, len(x)))
    behind = with_predictors(points, **{FORWARD_KL: blurred, "weight_l2": x})
    assert verdict(compare_predictors(behind, resamples=300)) == "behind"
    slightly = x * np.exp(rng.normal(0, 0.02, len(x)))
    tied = with_predictors(points, weight_l2=slightly)
    rivals = compare_predictors(tied, resamples=300)
    swapped = compare_predictors(with_predictors(points, **{FORWARD_KL: slightly, "weight_l2": x}), resamples=300)
    assert {verdict(rivals), verdict(swapped)} == {"first", "tied"}


def test_a_rival_is_compared_on_its_own_checkpoints() -> None:
    points = lives([10, 10], run_noise=0.05)
    x = kl_of(points)
    some = np.where(np.arange(len(x)) % 3 == 0, np.nan, x)
    found = by_name(compare_predictors(with_predictors(points, weight_l1=some), resamples=100))
    standing = found["weight_l1"].standings["quadratic"]
    # the same values on the same rows: no difference, though its R² is not that of all rows
    assert standing.difference is not None
    assert (standing.difference.low, standing.difference.high) == (0, 0)
    assert standing.fit.r2.value != found[FORWARD_KL].standings["quadratic"].fit.r2.value
    assert (standing.fit.points, standing.fit.dropped, standing.rank) == (53, 27, 2)


def test_sparsity_falls_as_forgetting_rises_and_is_not_punished_for_it() -> None:
    points = lives([10, 10])
    x = kl_of(points)
    found = by_name(compare_predictors(with_predictors(points, update_sparsity=1 / (1 + x)), resamples=50))
    standing = found["update_sparsity"].standings["monotone"]
    assert standing.fit.curve.kind == "falling"
    assert standing.fit.r2.value > 0.9


def test_constant_predictors_and_few_runs() -> None:
    points = lives([2, 2])
    rivals = compare_predictors(with_predictors(points, update_rank=np.full(16, 10.0), weight_l1=kl_of(points)))
    found = by_name(rivals)
    assert found["update_rank"].missing == "the same everywhere, or too few values"
    standing = found["weight_l1"].standings["quadratic"]
    assert standing.tied is None  # four runs: no interval
    assert verdict(rivals) == "first"
    better = compare_predictors(
        with_predictors(points, **{FORWARD_KL: 1 / (1 + np.arange(16.0)), "weight_l1": kl_of(points)})
    )
    assert verdict(better) is None
    flat = compare_predictors(plain_points([0.1, 0.2, 0.3, 0.4, 0.5], [0.2] * 5, weight_l1=[1.0, 2, 3, 4, math.nan]))
    assert verdict(flat) is None
    with pytest.raises(DataError):
        compare_predictors(plain_points([0.1, 0.1, 0.1, 0.1], [0.0, 0.1, 0.2, 0.3]))
