"""The benchmarks' section of the log: written twice it is the same, and what others wrote stays."""

import pytest

from tests.bench.figures import Report, Series, Target, against, alone
from tests.bench.section import BEGIN, END, render, with_section

ORDER = ("first", "second", "third")
TEXT = f"# Log\n\nwritten by hand\n\n{BEGIN}\n{END}\n\n## After\n\n### first\n\nby hand too\n"


def test_writing_the_same_again_changes_nothing() -> None:
    once = with_section(TEXT, {"second": "two", "first": "one"}, ORDER)
    assert with_section(once, {"second": "two", "first": "one"}, ORDER) == once
    assert once == TEXT.replace(f"{BEGIN}\n{END}", f"{BEGIN}\n\n### first\n\none\n\n### second\n\ntwo\n\n{END}")


def test_the_parts_of_benchmarks_that_were_not_measured_stay() -> None:
    earlier = with_section(TEXT, {"first": "one", "third": "three"}, ORDER)
    later = with_section(earlier, {"second": "two", "first": "one again"}, ORDER)
    assert later == with_section(TEXT, {"first": "one again", "second": "two", "third": "three"}, ORDER)


def test_a_log_without_the_section_gets_one_at_its_end() -> None:
    text = with_section("# Log\n", {"first": "one"}, ORDER)
    assert text == f"# Log\n\n{BEGIN}\n\n### first\n\none\n\n{END}\n"
    assert with_section(text, {"first": "one"}, ORDER) == text


@pytest.mark.parametrize("text", [f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}", BEGIN])
def test_broken_markers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        with_section(text, {}, ORDER)


def test_a_figure_is_judged_by_the_median_of_its_pairs() -> None:
    # Pairs 2/1, 3/2 and 9/3: ratios 2, 1.5 and 3, median 2. Of the medians, 3/2 = 1.5, it would have been met.
    figure = against("f", Series((2, 3, 9), "s"), Series((1, 2, 3), "s"), Target("at most", 1.9, "×"))
    assert figure.judged.values == (2, 1.5, 3)
    assert figure.verdict == "NOT met"
    assert figure.cells == ("f", "3 s [2 … 9 s]", "2 s [1 … 3 s]", "2 × [1.5 … 3 ×]", "at most 1.9 ×", "NOT met")


def test_how_many_times_faster_and_shares() -> None:
    faster = against("f", Series((2,), "s"), Series((12,), "s"), Target("at least", 5, "×"), inverse=True)
    assert (faster.judged.values, faster.verdict) == ((6,), "met")  # 12/2
    share = against("f", Series((1,), "s"), Series((50,), "s"), Target("at most", 5, "%"))
    assert (share.judged.values, share.verdict) == ((2,), "met")  # 100 times 1/50
    assert render(Report((share,), ("a note",)), "a machine").splitlines()[2:] == [
        "| f | 1 s | 50 s | 2.0 % | at most 5.0 % | met |",
        "",
        "a note",
        "",
        "Measured on: a machine.",
    ]
    assert alone("f", Series((0.6,), "s"), Target("at most", 0.5, "s")).cells[3] == ""
