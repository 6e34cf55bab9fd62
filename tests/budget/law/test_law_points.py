"""What the law is fitted on, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest

from perdure.budget.errors import DataError
from perdure.budget.law.points import FORWARD_KL, NEW_TASK_PREDICTORS, OLD_TASK_PREDICTORS, UPDATE_PREDICTORS, Points
from perdure.budget.law.sample import check_enough, sample_of, subset, usable, without_method, without_seed
from tests.budget.law.synthetic import plain_points


def test_a_selection_keeps_what_the_points_are_of() -> None:
    points = plain_points([0.1, 0.2, 0.3], [0.0, 0.1, 0.2], run=["a", "a", "b"], weight_l1=[1.0, 2.0, 3.0])
    chosen = points.select(np.array([True, False, True]))
    assert len(chosen) == 2
    assert chosen.run.tolist() == ["a", "b"]
    assert chosen.predictors["weight_l1"].tolist() == [1.0, 3.0]
    assert (chosen.world, chosen.base, chosen.unit, chosen.prompts) == ("vision", "a-base", "token", "task")
    with pytest.raises(ValueError, match="mask of 3 points"):
        points.select(np.array([0, 2]))


def test_seeds_are_all_the_same_unless_they_are_told() -> None:
    points = plain_points([0.1, 0.2, 0.3], [0.0, 0.1, 0.2])
    assert (points.seed_P.tolist(), points.seeds) == (["", "", ""], ("",))
    told = replace(points, seed=np.array(["10", "9", "10"]))
    assert told.seeds == ("9", "10")
    assert told.select(np.array([True, False, True])).seeds == ("10",)
    assert points.select(np.array([True, False, True])).seed is None
    train, test = without_seed(sample_of(told, FORWARD_KL), "9")
    assert (train.tolist(), test.tolist()) == ([True, False, True], [False, True, False])
    with pytest.raises(ValueError, match="seed"):
        replace(points, seed=np.array(["1"]))


def test_shapes_and_kinds_are_checked() -> None:
    good = plain_points([0.1, 0.2], [0.0, 0.1])
    fields = {name: getattr(good, name) for name in ("run", "method", "forgetting", "accuracy", "mass", "base_mass")}
    wrong = {
        "accuracy": np.zeros(3),
        "forgetting": np.zeros(2, dtype=int),
        "method": np.array(["a", "b"], dtype=object),
        "run": np.zeros((2, 1)),
    }
    for name, column in wrong.items():
        with pytest.raises(ValueError, match=name):
            Points(**{**fields, name: column}, predictors={})
    with pytest.raises(ValueError, match="weight_l1"):
        Points(**fields, predictors={"weight_l1": np.zeros(1)})


def test_no_name_of_a_predictor_is_used_twice() -> None:
    names = [*NEW_TASK_PREDICTORS, *UPDATE_PREDICTORS, *OLD_TASK_PREDICTORS]
    assert len(names) == len(set(names)) == 28


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    points = plain_points(
        [0.1, math.nan, 0.3, math.inf, 0.5], [0.0, 0.1, math.nan, 0.3, 0.4], run=["b", "b", "c", "c", "a"]
    )
    assert usable(points, FORWARD_KL).tolist() == [True, False, False, False, True]
    assert not usable(points, "weight_l2").any()
    sample = sample_of(points, FORWARD_KL)
    assert (sample.x_P.tolist(), sample.y_P.tolist()) == ([0.1, 0.5], [0.0, 0.4])
    assert (sample.run_P.tolist(), sample.runs, sample.dropped) == ([1, 0], 2, 3)
    assert len(sample_of(points, "weight_l2")) == 0


def test_a_part_numbers_its_runs_anew_and_a_method_goes_with_its_runs() -> None:
    points = plain_points([1.0, 2.0, 3.0, 4.0], [0.0] * 4, run=["a", "a", "b", "c"], method=["sft", "rl", "rl", "sft"])
    sample = sample_of(points, FORWARD_KL)
    assert subset(sample, np.array([False, False, True, True])).run_P.tolist() == [0, 1]
    assert sample.by_run(sample.x_P).tolist() == [3.0, 3.0, 4.0]
    train, test = without_method(sample, "rl")
    # run a used rl once, so that none of its checkpoints may teach what is asked of rl
    assert (train.tolist(), test.tolist()) == ([False, False, False, True], [False, True, True, False])


def test_too_little_is_refused_with_the_numbers() -> None:
    with pytest.raises(DataError, match=r"at least 4 checkpoints .* of 2 runs; got 2 of 1 run: give more runs"):
        check_enough(sample_of(plain_points([0.1, 0.2, 0.2], [0, 0, 0], run=["a"] * 3), FORWARD_KL), 4)
    with pytest.raises(DataError, match="got 1 of 1 run, and 2 without a finite"):
        check_enough(sample_of(plain_points([0.1, math.nan, math.nan], [0, 0, 0]), FORWARD_KL), 4)
    with pytest.raises(DataError, match="got 0 of 0 runs"):
        check_enough(sample_of(plain_points([], []), FORWARD_KL), 4)
    with pytest.raises(DataError, match=r"kl_base_to_policy is 0\.3 at all 5 checkpoints"):
        check_enough(sample_of(plain_points([0.3] * 5, [0, 1, 2, 3, 4]), FORWARD_KL), 4)
    check_enough(sample_of(plain_points([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]), FORWARD_KL), 4)
