"""Intervals and paired tests against figures derived by hand or published."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.eval import statistics as s


def ids(values: list[float]) -> dict[str, float]:
    return {f"i{i:03d}": float(value) for i, value in enumerate(values)}


def test_wilson_by_hand() -> None:
    # p = 0, n = 10, z² = 3.8415: from 0 to (z²/n) / (1 + z²/n) = 0.38415 / 1.38415 = 0.2775
    assert s.wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    # Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263 gives 0.2553 to 0.3662
    assert s.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert s.wilson(10, 10) == pytest.approx((1 - 0.2775, 1), abs=1e-4)
    with pytest.raises(ValueError, match="3 successes among 2"):
        s.wilson(3, 2)


def test_mcnemar_by_hand() -> None:
    # 6 changed, 1 gained: 2 (C(6,0) + C(6,1)) / 2^6 = 14/64
    assert s.mcnemar(1, 5) == s.mcnemar(5, 1) == pytest.approx(14 / 64)
    assert s.mcnemar(0, 0) == s.mcnemar(3, 3) == 1.0
    assert s.mcnemar(0, 2000) < 1e-300


def test_newcombe_by_hand() -> None:
    # both 36, after only 12, before only 2, neither 0. Wilson: after 48/50 gives 0.8654 to 0.9890, before 38/50 gives
    # 0.6259 to 0.8570. phi: 36*0 - 12*2 = -24 over sqrt(48 * 2 * 38 * 12) = 209.2, so -0.1147 (no correction below 0).
    # down² = 0.0946² + 2*0.1147*0.0946*0.0970 + 0.0970² = 0.02046, up² = 0.0290² + 2*0.1147*0.0290*0.1341 + 0.1341²
    # = 0.01972: from 0.2 - 0.1430 to 0.2 + 0.1404, as in the paper (0.0569, 0.3404).
    assert s.newcombe(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=1e-3)


def test_newcombe_with_positive_correlation_by_hand() -> None:
    # both 20, gained 5, lost 2, neither 13. Wilson: after 25/40 gives 0.4703 to 0.7578, before 22/40 0.3983 to 0.6929.
    # phi: 20*13 - 5*2 = 250, less n/2 is 230, over sqrt(25 * 15 * 22 * 18) = 385.36, so 0.5968.
    # down² = 0.1547² - 2*0.5968*0.1547*0.1429 + 0.1429² = 0.01797, up² = 0.1328² - 2*0.5968*0.1328*0.1517 + 0.1517²
    # = 0.01660: from 0.075 - 0.1340 to 0.075 + 0.1288
    assert s.newcombe(20, 5, 2, 13) == pytest.approx((-0.0590, 0.2038), abs=3e-4)


def test_binary_results() -> None:
    before, after = [1, 1, 1, 0, 0, 0, 1, 0], [1, 0, 1, 1, 1, 1, 1, 1]
    found = s.paired(ids(before), ids(after))
    # gained 4, lost 1: 2 (1 + 5) / 32
    assert (found.difference, found.p_value, found.n) == (3 / 8, pytest.approx(12 / 32), 8)
    assert found.low < 3 / 8 < found.high


def test_graded_results_against_all_sign_patterns() -> None:
    before, after = [0.1, 0.5, 0.3, 0.9, 0.4], [0.4, 0.9, 0.2, 0.9, 0.9]
    found = s.paired(ids(before), ids(after))
    d = [0.3, 0.4, -0.1, 0.5]  # the fourth item did not change
    patterns = [
        sum(x * sign for x, sign in zip(d, signs, strict=True)) for signs in itertools.product((1, -1), repeat=4)
    ]
    expected = np.mean([abs(total) >= sum(d) - 1e-9 for total in patterns])
    assert found.difference == pytest.approx(1.1 / 5)
    # 16 patterns; |sum| >= 1.1: all as seen (1.1), the -0.1 turned (1.3), and their mirrors: 4/16
    assert found.p_value == pytest.approx(expected) == pytest.approx(0.25)
    # mean 0.22, squares about it 0.0064 + 0.0324 + 0.1024 + 0.0484 + 0.0784 = 0.268, variance 0.067, stderr
    # sqrt(0.067 / 5) = 0.11576; t(4) = 2.7764, so 0.22 - 0.3214 to 0.22 + 0.3214
    assert (found.low, found.high) == pytest.approx((-0.1014, 0.5414), abs=1e-4)


def test_many_graded_results_are_sampled_and_repeatable() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=50)
    assert s.sign_flip(noise, seed=1) == s.sign_flip(noise, seed=1)
    assert s.sign_flip(noise + 2) == pytest.approx(1 / 10_001)
    # the normal approximation of the same test: sum / sqrt(sum of squares)
    z = abs(noise.sum()) / math.sqrt((noise**2).sum())
    assert s.sign_flip(noise) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.03)


def test_exact_and_sampled_agree() -> None:
    # items that did not change do not count, so 4 of 30 are counted exactly: 2 / 2^4
    assert s.sign_flip([0.1, 0.2, 0.3, 0.4, *[0.0] * 26]) == 2 / 16
    d = np.random.default_rng(3).normal(0.4, 1, size=16)
    assert s.sign_flip(d) == pytest.approx(s.sign_flip([*d, 1e-12]), abs=0.02)  # 17 differences are sampled


def test_items_are_matched_by_id() -> None:
    before, after = ids([1, 0, 1, 0]), ids([1, 1, 1, 0])
    assert s.paired(before, dict(reversed(after.items()))) == s.paired(before, after)
    with pytest.raises(ValueError, match="2 are in one only, such as 'i003'"):
        s.paired(before, ids([1, 1, 1]) | {"other": 1.0})
    with pytest.raises(ValueError, match="finite"):
        s.paired(before, ids([1, 1, math.nan, 0]))


def test_one_item_tells_nothing() -> None:
    assert s.paired({"a": 0.0}, {"a": 1.0}) == s.Paired(1.0, None, None, None, 1)
    assert s.paired({}, {}).p_value is None


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04: times 3, 2, 1 gives 0.03, 0.04, 0.04
    assert s.holm([0.04, None, 0.01, 0.02]) == pytest.approx([0.04, None, 0.03, 0.04])
    assert s.holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])


counts = st.integers(0, 40)


@given(counts, counts, counts, counts)
def test_newcombe_holds_the_difference_and_turns_with_it(both: int, gained: int, lost: int, neither: int) -> None:
    n = both + gained + lost + neither
    if n == 0:
        return
    low, high = s.newcombe(both, gained, lost, neither)
    assert -1 <= low <= (gained - lost) / n + 1e-12
    assert (gained - lost) / n - 1e-12 <= high <= 1
    assert low < high
    assert s.newcombe(both, lost, gained, neither) == pytest.approx((-high, -low))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_swapping_the_two_turns_the_sign(pairs: list[tuple[float, float]]) -> None:
    before, after = ids([x for x, _ in pairs]), ids([y for _, y in pairs])
    one, other = s.paired(before, after), s.paired(after, before)
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value)
    assert 0 < one.p_value <= 1


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values: list[float | None]) -> None:
    adjusted = s.holm(p_values)
    known = [(p, q) for p, q in zip(p_values, adjusted, strict=True) if p is not None and q is not None]
    assert all(p <= q <= 1 for p, q in known)
    assert [q for _, q in sorted(known)] == sorted(q for _, q in known)
    assert [p is None for p in p_values] == [q is None for q in adjusted]
