"""What is counted is told to whoever looks on."""

from perdure.curriculum.counting import count, expect, watched


def test_what_is_done_is_told() -> None:
    told: list[tuple[int, int]] = []
    expect(3)
    count()
    with watched(lambda done, total: told.append((done, total))):
        count()  # nothing is expected yet
        expect(3)
        count(2)
        count(2)
        expect(1)
        count(0)
    count()
    assert told == [(0, 3), (2, 3), (3, 3), (0, 1)]
