"""Student's interval by hand. The sign-flip test and Holm's adjustment are tested with what uses them."""

import pytest

from perdure.budget.significance import student


def test_student_by_hand() -> None:
    # the quantile 0.975 of t with 3 degrees of freedom is 3.1824
    assert student(3.0, 1.0801, 3, 0.95) == pytest.approx((3 - 3.4374, 3 + 3.4374), abs=1e-3)
    assert student(3.0, 0.0, 3, 0.95) == (3, 3)
