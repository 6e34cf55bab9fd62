"""The contest's arithmetic, on two streams of two seeds."""

from typing import Any

import pytest

from perdure.agent.sweep.summary import RUN_FIGURES, Mean
from perdure.budget.errors import DataError
from tests.bench.contest import all_page, best_fixed, difference, over_streams, refuse_twice, stream_page, words

ONE = {"sft": {0: 0.5, 1: 0.7}, "rl": {0: 0.6, 1: 0.7}, "probe": {0: 0.9, 1: 0.9}}
TWO = {"sft": {0: 0.9, 1: 0.9}, "rl": {0: 0.2, 1: 0.4}, "probe": {0: 0.5, 1: 0.7}}


def test_the_best_fixed_method_is_no_strategy() -> None:
    # means: 0.6 and 0.65 in the first stream, 0.9 and 0.3 in the second; the strategy does not count
    assert (best_fixed(ONE), best_fixed(TWO)) == ("rl", "sft")


def test_arms_are_compared_seed_by_seed() -> None:
    # 0.3 and 0.2: mean 0.25; one degree of freedom, stderr 0.05, t = 12.706
    found = difference(ONE["probe"], ONE["rl"])
    assert found.value == pytest.approx(0.25)
    assert found.low == pytest.approx(0.25 - 12.706 * 0.05, abs=1e-3)
    assert found.n == 2


def test_over_streams_is_a_mean_a_seed() -> None:
    together = over_streams([ONE, TWO])
    assert together["sft"] == pytest.approx({0: 0.7, 1: 0.8})
    assert together["probe"] == pytest.approx({0: 0.7, 1: 0.8})


def row(arm: str, seed: int, **more: Any) -> dict[str, Any]:
    known = {"method": arm, "seed": seed, "stage": 2, "learned": 0.5, "accuracy": 0.5}
    return dict.fromkeys(RUN_FIGURES, 0.5) | known | more


def test_an_arm_runs_a_seed_once() -> None:
    rows = [row("sft", 0), row("sft", 1), row("rl", 0)]
    refuse_twice("one", rows)
    with pytest.raises(DataError, match=r"stream 'one': rl at seed 0 \(3 runs\), sft at seed 1 \(2 runs\)\. An arm"):
        refuse_twice("one", [*rows, row("rl", 0), row("sft", 1), row("rl", 0)])


def test_a_mean_over_fewer_runs_says_so() -> None:
    assert words(Mean(0.25, 0.2, 0.3, 3), 3) == "0.250 [0.200, 0.300]"
    assert words(Mean(0.25, 0.2, 0.3, 3), 4) == "0.250 [0.200, 0.300] (n 3)"
    assert words(Mean(0.25, None, None, 1), 2) == "0.250 (n 1)"
    assert words(Mean(None, None, None, 0), 2) == "n/a"


def test_in_the_table_of_a_stream() -> None:
    rows = [row("sft", 0), row("sft", 1, excess=None), row("probe", 0)]
    lines = stream_page("one", rows)
    sft = next(line for line in lines if line.startswith("| `sft` | 2 |"))
    # average accuracy, forgetting, benchmark drop, KL, excess, seconds, learned: the excess of seed 1 is not known
    assert [cell.strip() for cell in sft.split("|")[3:-1]] == [*["0.500"] * 4, "0.500 (n 1)", "0.500", "0.500"]
    # one seed of the two is common
    assert "Less it: `probe` 0.000 (n 1)." in lines[-2]


def test_in_the_table_of_all_streams() -> None:
    page = all_page([ONE, {arm: {0: seeds[0]} for arm, seeds in TWO.items()}])
    # the first seed alone is in both: (0.5 + 0.9) / 2 for sft, as much for the strategy
    assert "| `sft` | 0.700 (n 1) | 0.000 (n 1) |" in page


def test_without_strategies_what_was_learned_is_compared() -> None:
    rows = [row("stop", 0, learned=0.4), row("stop", 1, learned=0.5), row("project", 0, learned=0.7)]
    rows.append(row("project", 1, learned=0.6))
    # 0.3 and 0.1: mean 0.2, stderr 0.1, one degree of freedom
    told = "Most learned right after a stage: `project`; more than `stop` 0.200 [-1.071, 1.471]."
    assert told in stream_page("x", rows)
