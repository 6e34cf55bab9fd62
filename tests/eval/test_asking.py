"""How many items a score needs: the interval by hand, and coverage and errors by simulation."""

import math

import numpy as np
import pytest

from perdure.eval.asking import change_over_all, enough, if_all_changed_alike, looks, order
from perdure.eval.statistics import mcnemar, paired

ITEMS, PRECISION = 400, 0.05


def test_looks_by_hand() -> None:
    # each half as large again, up to 95 % of the items: 64, 96, 144, 216, 324, and 486 > 380
    assert looks(400) == (64, 96, 144, 216, 324)
    assert looks(100) == (64,)
    assert looks(67) == ()  # 64 are more than 95 %


def test_the_interval_by_hand() -> None:
    # one look at 64 of 100: z = 1.95996; S = 4, Q = 6: m = 4/66, v = 8/66 - (4/66)² = 0.117539,
    # and the half is z · sqrt(v / 66 · 36 / 99)
    low, high = change_over_all([1.0] * 5 + [-1.0] + [0.0] * 58, 100)
    assert (low + high) / 2 == pytest.approx(4 / 66)
    assert (high - low) / 2 == pytest.approx(1.959964 * math.sqrt(0.117539 / 66 * 36 / 99), rel=1e-5)
    # of three looks the first at 97.5 %, z = 2.241403, the others at 98.75 %, z = 2.497705
    low, high = change_over_all([0.0] * 64, 200)
    assert high == -low == pytest.approx(2.241403 * math.sqrt(2 / 66 / 66 * 136 / 199), rel=1e-5)
    low, high = change_over_all([0.0] * 96, 200)
    assert high == pytest.approx(2.497705 * math.sqrt(2 / 98 / 98 * 104 / 199), rel=1e-5)


def test_the_order_is_drawn_once_by_the_seed() -> None:
    assert sorted(order(50, 3)) == list(range(50))
    assert order(50, 3) == order(50, 3) != order(50, 4)


def scores(gained: int, lost: int, same: int) -> tuple[dict[str, float], dict[str, float]]:
    pairs = [(0.0, 1.0)] * gained + [(1.0, 0.0)] * lost + [(1.0, 1.0)] * same
    before, after = ({str(i): pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    return before, after


def test_a_verdict_in_doubt_is_asked_on() -> None:
    # 3 gains: p = 1/4, between 0.001 and 0.3; 2 gains: p = 1/2; 12 of 324: p = 2 / 2**12 < 0.001
    assert enough(*scores(3, 0, 213), 400, 0.1) is None
    assert enough(*scores(2, 0, 214), 400, 0.1) is not None
    assert enough(*scores(12, 0, 312), 400, 0.1) is not None
    assert enough(*scores(10, 0, 314), 400, 0.1) is None  # p = 2 / 2**10 = 0.002
    assert enough(*scores(0, 0, 96), 400, 0.02) is None  # a precision that 96 items do not give
    # a gain among 64 may be 6 of 400, z = sqrt(400 / 64) = 2.5; among 96 z = 2.04
    assert if_all_changed_alike([1.0] + [0.0] * 63, 400) == pytest.approx(0.0124, abs=1e-4)
    assert enough(*scores(1, 0, 63), 400, 0.1) is None
    assert enough(*scores(1, 0, 95), 400, 0.1) is not None
    assert if_all_changed_alike([0.0] * 9, 400) == 1


def asked(differences: np.ndarray) -> tuple[int, float, float, bool]:
    """The number of items asked of a column whose changes are in the order drawn, the interval, and the verdict."""
    before = {str(i): float(d < 0) for i, d in enumerate(differences)}
    after = {key: before[key] + float(d) for key, d in zip(before, differences, strict=True)}
    keys = list(before)
    for n in looks(len(keys)):
        part = {key: after[key] for key in keys[:n]}
        found = enough(before, part, len(keys), PRECISION)
        if found is not None:
            p = paired({key: before[key] for key in part}, part).p_value
            assert p is not None
            return n, *found, p < 0.05
    p = paired(before, after).p_value
    assert p is not None
    return len(keys), float(differences.mean()), float(differences.mean()), p < 0.05


@pytest.mark.parametrize(
    ("gain", "loss", "share"), [(0, 0, 0.16), (0.02, 0.02, 0.45), (0.1, 0.1, 0.9), (0, 0.1, 0.7), (0.9, 0, 0.75)]
)
def test_coverage_and_errors_by_simulation(gain: float, loss: float, share: float) -> None:
    """Of 80 columns of 400 items: the interval holds the change over all, and few verdicts are not those of all."""
    generator = np.random.default_rng(1)
    covered = changed = used = 0
    for _ in range(80):
        draws = generator.random(ITEMS)
        differences = np.where(draws < gain, 1.0, np.where(draws < gain + loss, -1.0, 0.0))
        n, low, high, verdict = asked(differences)
        whole = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
        covered += low - 1e-12 <= differences.mean() <= high + 1e-12
        changed += verdict != (whole < 0.05)
        used += n
    assert covered >= 0.95 * 80
    assert changed <= 0.05 * 80
    assert used / 80 / ITEMS <= share


def test_the_test_holds_its_level_where_nothing_changed() -> None:
    """300 columns whose items change in both directions alike: at most 5 % are called changed (99 % bound: 24)."""
    generator = np.random.default_rng(2)
    called = 0
    for _ in range(300):
        draws = generator.random(ITEMS)
        called += asked(np.where(draws < 0.04, 1.0, np.where(draws < 0.08, -1.0, 0.0)))[3]
    assert called <= 24
