"""Forward KL on the task, on the generic probe, and both: on made-up runs whose law is known."""

from dataclasses import replace

import numpy as np
import pytest

from perdure.budget.law.places import compare_places
from perdure.budget.law.points import FORWARD_KL, GENERIC_KL, Points
from perdure.budget.law.prediction import build_law
from tests.budget.law.synthetic import kl_of, lives, plain_points


def both(seed: int = 0, runs: int = 12) -> Points:
    """Runs whose forgetting is 0.05 of the KL on the task, which grows, and 0.1 of that on the probe, which stays."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(0.2, 2, (2, 3 * runs, 1))
    task, generic = (ends[0] * np.linspace(0.25, 1, 4)).ravel(), np.repeat(ends[1].ravel(), 4)
    names = [f"m{run % 3}-{run}" for run in range(3 * runs) for _ in range(4)]
    forgetting = 0.05 * task + 0.1 * generic + rng.normal(0, 0.002, task.size)
    columns = {GENERIC_KL: list(generic)}
    return plain_points(list(task), list(forgetting), names, [name[:2] for name in names], **columns)


def test_each_predictor_explains_what_it_should() -> None:
    task, generic, two = compare_places(both(), resamples=50)
    # b is uniform from 0.2 to 2, with variance 0.27, and a that times 1, 2, 3 or 4 quarters: 1.48 * 0.469 - 0.688²
    # = 0.221. So a explains 0.0025 * 0.221 / (0.0025 * 0.221 + 0.01 * 0.27) = 0.17 of all, and b the rest
    assert task.fit.r2.value == pytest.approx(0.17, abs=0.12)
    assert generic.fit.r2.value == pytest.approx(0.83, abs=0.12)
    assert two.fit.held_out_methods.value > 0.99
    assert two.width < generic.width < task.width
    assert two.width == pytest.approx(4 * 0.002, rel=0.35)  # 1.96 deviations to either side
    assert two.law.coverage_methods.covered == pytest.approx(0.95, abs=0.04)


def test_the_law_of_two_predictors_covers_runs_it_never_saw() -> None:
    law, new = build_law(both(), predictor="both", resamples=50), both(seed=9)
    pairs = zip(kl_of(new), new.predictors[GENERIC_KL], new.forgetting, strict=True)
    found = [(law.predict(task, generic), forgetting) for task, generic, forgetting in pairs]
    assert np.mean([one.low <= forgetting <= one.high for one, forgetting in found]) == pytest.approx(0.95, abs=0.05)
    assert (law.predictor, law.width_kl, law.prompts) == ("both", (), "task")


def test_a_law_of_the_probe_alone_is_of_generic_prompts() -> None:
    law = build_law(both(), predictor="generic", resamples=50)
    assert (law.predictor, law.prompts, law.kl_generic) == ("generic", "generic", ())
    swapped = both()
    swapped = replace(swapped, predictors={FORWARD_KL: swapped.predictors[GENERIC_KL]})
    assert build_law(swapped, resamples=50).kl == law.kl


def test_forgetting_that_does_not_rise_has_an_interval_too() -> None:
    points = both()
    law = build_law(replace(points, forgetting=-points.forgetting), predictor="both", resamples=20)
    assert law.predict(1.0, 1.0).low < law.predict(1.0, 1.0).high


def test_checkpoints_without_the_probe_are_not_compared() -> None:
    assert compare_places(lives([8]), resamples=20) == ()
    points = both()
    generic = points.predictors[GENERIC_KL].copy()
    generic[4:] = np.nan
    assert compare_places(replace(points, predictors={**points.predictors, GENERIC_KL: generic}), resamples=20) == ()
