"""The metrics of a run, derived by hand, and what must hold for every matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perdure.eval import metrics as m

NAN = float("nan")

# Three stages, three tasks; row 0 is the base.
R = [
    [0.1, 0.2, 0.3],
    [0.8, 0.3, 0.3],
    [0.9, 0.7, 0.5],
    [0.6, 0.9, 0.8],
]
B = [[0.9, 0.5], [0.8, 0.6], [0.7, 0.5], [0.7, 0.6]]


def test_three_stages_by_hand() -> None:
    # (0.6 + 0.9 + 0.8) / 3
    assert m.all_metrics(R)["average_accuracy"] == pytest.approx(2.3 / 3)
    # task 1: 0.6 - 0.8 = -0.2; task 2: 0.9 - 0.7 = 0.2
    assert m.all_metrics(R)["backward_transfer"] == pytest.approx(0.0)
    # task 1: max(0.8, 0.9) - 0.6 = 0.3; task 2: max(0.7) - 0.9 = -0.2
    assert m.all_metrics(R)["forgetting"] == pytest.approx(0.05)
    # task 2: R[1,2] - R[0,2] = 0.1; task 3: R[2,3] - R[0,3] = 0.2
    assert m.all_metrics(R)["forward_transfer"] == pytest.approx(0.15)
    # 0.9 - 0.7 = 0.2 and 0.5 - 0.6 = -0.1
    assert m.all_metrics(R, B)["benchmark_drop"] == pytest.approx(0.05)


def test_the_base_does_not_count_as_a_best() -> None:
    # task 1 was 0.9 at the base, 0.5 when learned, 0.4 at the end: forgotten is 0.5 - 0.4, not 0.9 - 0.4
    assert m.all_metrics([[0.9, 0.0], [0.5, 0.0], [0.4, 0.0]])["forgetting"] == pytest.approx(0.1)


def test_a_run_of_two_stages_done_of_three_is_a_run_of_two() -> None:
    partial = [*R[:3], [NAN] * 3]
    two = [row[:2] for row in R[:3]]
    assert m.all_metrics(partial, [*B[:3], [NAN] * 2]) == m.all_metrics(two, B[:3])
    # (0.9 + 0.7) / 2; task 1: 0.9 - 0.8; task 2: R[1,2] - R[0,2]
    assert m.all_metrics(partial)["average_accuracy"] == pytest.approx(0.8)
    assert m.all_metrics(partial)["backward_transfer"] == pytest.approx(0.1)
    assert m.all_metrics(partial)["forward_transfer"] == pytest.approx(0.1)


@pytest.mark.parametrize("matrix", [[[0.1]], [[0.1], [0.9]], [[0.1, 0.2], [0.5, 0.2], [NAN, NAN]]])
def test_one_stage_has_no_transfer_and_no_forgetting(matrix: list[list[float]]) -> None:
    values = m.all_metrics(matrix)
    assert values["backward_transfer"] is values["forward_transfer"] is values["forgetting"] is None


def test_the_base_alone_has_no_metric() -> None:
    assert set(m.all_metrics([R[0], *[[NAN] * 3] * 3], [B[0], *[[NAN] * 2] * 3]).values()) == {None}
    assert set(m.all_metrics([[]], [[]]).values()) == {None}
    assert m.all_metrics(R)["benchmark_drop"] is None


def test_a_term_that_was_not_measured_is_left_out() -> None:
    gap = np.array(R)
    gap[1, 0] = NAN
    # task 1 has no R[1,1]: backward transfer is task 2's 0.9 - 0.7 alone; its best is R[2,1] = 0.9
    assert m.all_metrics(gap)["backward_transfer"] == pytest.approx(0.2)
    assert m.all_metrics(gap)["forgetting"] == pytest.approx((0.3 - 0.2) / 2)
    assert m.all_metrics(R, [[None, 0.5], [0.1, 0.4]])["benchmark_drop"] == pytest.approx(0.1)


def test_a_matrix_has_two_dimensions() -> None:
    with pytest.raises(ValueError, match="two dimensions"):
        m.all_metrics([0.1, 0.2])["forgetting"]


def test_every_metric_has_a_formula() -> None:
    assert m.all_metrics(R, B).keys() == m.FORMULAS.keys() == m.metrics_with_intervals({}, {}).keys()


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    stages = draw(st.integers(2, 5))
    return draw(arrays(float, (stages + 1, stages), elements=st.floats(0, 1)))


@given(matrices())
def test_forgetting_is_at_least_minus_backward_transfer(matrix: np.ndarray) -> None:
    # the best since learning is at least the score when learned
    assert m.all_metrics(matrix)["forgetting"] >= -m.all_metrics(matrix)["backward_transfer"] - 1e-12


@given(matrices(), st.floats(0, 1))
def test_a_run_in_which_nothing_changes(matrix: np.ndarray, level: float) -> None:
    still = np.full_like(matrix, level)
    values = m.all_metrics(still, still)
    assert values.pop("average_accuracy") == pytest.approx(level)
    assert list(values.values()) == pytest.approx([0, 0, 0, 0])


@given(matrices())
def test_one_added_to_every_score_moves_only_the_average(matrix: np.ndarray) -> None:
    before, after = m.all_metrics(matrix, matrix), m.all_metrics(matrix + 1, matrix + 1)
    assert after.pop("average_accuracy") == pytest.approx(before.pop("average_accuracy") + 1)
    assert list(after.values()) == pytest.approx(list(before.values()), abs=1e-9)


def items_of(matrix: list[list[float]], n: int, seed: int) -> dict[tuple[int, int], np.ndarray]:
    """0/1 items whose means are about the matrix."""
    rng = np.random.default_rng(seed)
    return {
        (t, j): (rng.random(n) < value).astype(float) for t, row in enumerate(matrix) for j, value in enumerate(row, 1)
    }


def test_intervals_are_about_the_same_value_and_repeatable() -> None:
    items, benchmarks = items_of(R, 60, 0), items_of(B, 60, 1)
    means = [[items[t, j].mean() for j in (1, 2, 3)] for t in range(4)]
    drops = [[benchmarks[t, j].mean() for j in (1, 2)] for t in range(4)]
    found = m.metrics_with_intervals(items, benchmarks)
    assert found == m.metrics_with_intervals(items, benchmarks)
    for name, value in m.all_metrics(means, drops).items():
        assert found[name].value == pytest.approx(value)
        assert found[name].low < value < found[name].high


def test_the_standard_error_of_a_drop_is_that_of_the_paired_differences() -> None:
    # n = 400 items, base right on 300, then wrong on 40 of those and right on 20 others: differences -1 x 40, +1 x 20
    before = np.repeat([1.0, 1.0, 0.0, 0.0], [260, 40, 20, 80])
    after = np.repeat([1.0, 0.0, 1.0, 0.0], [260, 40, 20, 80])
    found = m.metrics_with_intervals({}, {(0, 1): before, (1, 1): after})["benchmark_drop"]
    # drop 0.05; variance of the differences 60/400 - 0.05^2 = 0.1475, stderr sqrt(0.1475 / 400) = 0.01920.
    # Unpaired it would be sqrt(0.75 * 0.25 / 400 + 0.7 * 0.3 / 400) = 0.0315.
    assert found.value == pytest.approx(0.05)
    assert found.stderr == pytest.approx(0.0192, rel=0.06)
    assert (found.low, found.high) == pytest.approx((0.05 - 1.96 * 0.0192, 0.05 + 1.96 * 0.0192), abs=0.004)


def test_a_replicate_draws_as_many_items_as_there_are_and_each_as_often() -> None:
    times_RI = m._drawn(5, 4000, np.random.default_rng(0))
    assert (times_RI.sum(axis=1) == 5).all()
    # each item is drawn 5 times with chance 1/5: mean 1, variance 5 · 1/5 · 4/5 = 0.8, so 4000 means have sd 0.014
    assert times_RI.mean(axis=0) == pytest.approx([1] * 5, abs=0.06)
    assert times_RI.var(axis=0) == pytest.approx([0.8] * 5, abs=0.08)


def test_no_confident_zero() -> None:
    same = {(t, j): [1.0] * 20 for t in range(3) for j in (1, 2)}
    thin = {(t, j): [float(t == j)] for t in range(3) for j in (1, 2)}
    one_thin = {(t, j): [0.0, 1.0, 0.0] if j == 1 and t != 1 else [1.0] * (3 if j == 1 else 1) for t, j in same}
    for items in (same, thin, one_thin):
        found = m.metrics_with_intervals(items)["forgetting"]
        assert found.value is not None
        assert found.stderr is found.low is found.high is None


def test_items_that_were_dropped_in_one_row_are_left_out_of_its_mean() -> None:
    found = m.metrics_with_intervals({(0, 1): [1.0, 1.0, NAN, 0.0], (1, 1): [1.0, NAN, 1.0, 0.0]})
    assert found["average_accuracy"].value == pytest.approx(2 / 3)
    # 40 items of which every other one was scored, half of those right: as 20 items, so 0.5 +- 1.96 sqrt(0.25 / 20)
    found = m.metrics_with_intervals({(0, 1): [0.0] * 40, (1, 1): [1.0, NAN, 0.0, NAN] * 10})
    assert found["average_accuracy"].low == pytest.approx(0.5 - 0.219, abs=0.03)
    assert found["average_accuracy"].high == pytest.approx(0.5 + 0.219, abs=0.03)


def test_rows_of_one_column_must_list_the_same_items() -> None:
    with pytest.raises(ValueError, match=r"column 2 .* \[2, 3\]"):
        m.metrics_with_intervals({(0, 2): [1, 0], (1, 2): [1, 0, 1]})


def test_a_row_asked_in_part_counts_as_the_base_and_its_mean_change() -> None:
    def drop(base: list[float], after: list[float]) -> float | None:
        rows = {(0, 1): base, (1, 1): after}
        return m.metrics_with_intervals({}, rows, benchmarks_in_part={(1, 1)})["benchmark_drop"].value

    # of the two items asked one was lost: 0.5 less, so that 0.5 comes to 0; their mean and the base's differ by as much
    assert drop([1, 0, 1, 0], [0, 0, NAN, NAN]) == 0.5
    # neither of the two asked changed; their mean is 0.5, the base's over all 0.75
    assert drop([1, 0, 1, 1], [NAN, 0, NAN, 1]) == 0
